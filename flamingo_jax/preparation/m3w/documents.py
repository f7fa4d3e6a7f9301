"""What is read: pages as HTML files or in WARC files, and the pictures of WARC files."""

from __future__ import annotations

import dataclasses
import os
import re
import urllib.parse
from collections.abc import Callable, Iterator, Sequence

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.preparation.m3w.config import M3WConfig

WARC_SUFFIXES = (".warc", ".warc.gz")
HTML_SUFFIXES = (".html", ".htm", ".xhtml")
_WILDCARD = re.compile(r"[*?\[{]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PageDocument:
    """A page as it was found.

    Attributes:
        url: its address; for a file `file:///` and its path below the folder of the input.
        html: its bytes.
        charset: what the server said of them.
        date: when it was fetched, "" for files; of equal addresses, the latest is taken.
    """

    url: str
    html: bytes
    charset: str = ""
    date: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureDocument:
    """A picture of a WARC file: address, bytes, and when it was fetched."""

    url: str
    data: bytes
    date: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unreadable:
    """Something that is no page although it should be one.

    Attributes:
        place: which file or record.
        detail: what is wrong with it.
    """

    place: str
    detail: str


def is_warc(path: str) -> bool:
    """Whether the name of a file says that it is a WARC file."""
    return path.lower().endswith(WARC_SUFFIXES)


def check_kind(paths: Sequence[str]) -> None:
    """Raises a UserError unless all files are HTML, or all are WARC files."""
    for path in paths:
        if not path.lower().endswith((*WARC_SUFFIXES, *HTML_SUFFIXES)):
            names = ", ".join((*HTML_SUFFIXES, *WARC_SUFFIXES))
            raise UserError(f"--input: {path!r} is neither HTML nor WARC: expected {names}")
    if len({is_warc(path) for path in paths}) > 1:
        raise UserError("--input has HTML and WARC files: prepare them one after the other")


def root_folder(pattern: str) -> str:
    """The folder in front of a pattern's first wildcard: "pages" for "pages/*/x.html"."""
    fixed = pattern[: found.start()] if (found := _WILDCARD.search(pattern)) else pattern
    return fixed.rpartition("/")[0] or ("/" if fixed.startswith("/") else ".")


def read_html_file(path: str, root: str, config: M3WConfig) -> PageDocument | Unreadable:
    """A page in a file of its own.

    Args:
        path: the file.
        root: folder that its address counts from.
        config: how large a page may be.
    """
    try:
        if (num_bytes := files.size(path)) > config.max_page_bytes:
            return Unreadable(place=path, detail=f"{num_bytes} bytes")
        html = files.read_bytes(path)
    except OSError as error:
        return Unreadable(place=path, detail=error.strerror or str(error))
    return PageDocument(url=file_url(path, root), html=html)


def file_url(path: str, root: str) -> str:
    """The address of a file below a folder, the same wherever the folder lies."""
    if "://" in path:
        name = path.removeprefix(root.rstrip("/") + "/")
    else:
        name = os.path.relpath(path, root)
    # Names that are not UTF-8 have their bytes as surrogates here.
    return "file:///" + urllib.parse.quote(name.replace(os.sep, "/"), errors="surrogateescape")


def folder_names(url: str) -> Iterator[str]:
    """Under which names a picture may lie in a folder, likeliest first.

    `file:///a/b.png` lies at `a/b.png`, `https://host/a/b.png?w=9` at `host/a/b.png?w=9` or, for
    crawlers that leave out the query, at `host/a/b.png`. Names may be percent-encoded as in the
    address, or decoded. They are not checked.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("file", "http", "https") or not parts.path.strip("/"):
        return
    path = parts.netloc + parts.path if parts.netloc else parts.path.lstrip("/")
    with_query = [f"{path}?{parts.query}"] if parts.query else []
    yield from dict.fromkeys(
        form(name) for name in [*with_query, path] for form in (urllib.parse.unquote, str)
    )


def find_picture(url: str, read: Callable[[str], bytes | None]) -> bytes | None:
    """A picture in a folder.

    Args:
        url: its address.
        read: the folder's files by name (`data.image_store.ImageStore.read`).

    Returns:
        Its bytes, None if the folder does not have it.

    Raises:
        BadSample: UNSAFE_NAME, the address leads out of the folder; MISSING_MEDIA, the file cannot
            be read.
    """
    for name in folder_names(url):
        try:
            data = read(name)
        except ValueError as error:  # A NUL, or a name longer than the system takes.
            raise BadSample(Reason.MISSING_MEDIA, url, str(error)) from error
        except OSError as error:
            raise BadSample(Reason.MISSING_MEDIA, url, error.strerror or str(error)) from error
        if data is not None:
            return data
    return None
