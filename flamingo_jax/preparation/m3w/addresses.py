"""Addresses of pages and pictures."""

from __future__ import annotations

import dataclasses
import urllib.parse

from flamingo_jax.preparation.m3w.html_tree import Element

_LAZY_SOURCES = ("data-src", "data-original", "data-lazy-src")
"""Where pages that load pictures late keep the address."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageReference:
    """A picture of a page.

    Attributes:
        url: its absolute address, without fragment.
    """

    url: str


def resolved(address: str, base: str) -> str:
    """An address counted from another one; the other one itself if it is no address."""
    try:
        return urllib.parse.urljoin(base, address)
    except ValueError:  # Such as `http://[`.
        return base


def image_reference(image: Element, base: str) -> ImageReference | None:
    """The picture that an `<img>` shows; None if it has no address that could be looked up."""
    attributes = image.attributes
    named = [attributes.get(name, "").strip() for name in ("src", *_LAZY_SOURCES)]
    # In pages that load pictures late, `src` holds a few bytes of grey as a data URL.
    addresses = [name for name in named if name and not name.lower().startswith("data:")]
    if not addresses:
        return None
    try:
        return ImageReference(url=normal_url(urllib.parse.urljoin(base, addresses[0])))
    except ValueError:  # Such as `http://[`, which is no address.
        return None


def normal_url(url: str) -> str:
    """An address in the form by which pages and pictures are found: no fragment, small host.

    Raises:
        ValueError: it is no address.
    """
    parts = urllib.parse.urlsplit(url.strip())
    netloc = parts.netloc.lower()
    for scheme, port in (("http", ":80"), ("https", ":443")):
        if parts.scheme == scheme:
            netloc = netloc.removesuffix(port)
    return urllib.parse.urlunsplit((parts.scheme, netloc, parts.path, parts.query, ""))
