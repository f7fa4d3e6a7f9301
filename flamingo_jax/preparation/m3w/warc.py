"""WARC files: the pages and pictures that a crawl got, one HTTP response after the other.

Reads WARC 1.0 and 1.1, plain or one gzip member per record, as crawlers write them, with chunked
and gzip or deflate bodies. Responses of status 200 count; redirects, revisits and what is neither
page nor picture are passed over.
"""

from __future__ import annotations

import email.message
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.preparation.m3w.addresses import normal_url
from flamingo_jax.preparation.m3w.config import M3WConfig
from flamingo_jax.preparation.m3w.documents import PageDocument, PictureDocument, Unreadable

if TYPE_CHECKING:
    from warcio.recordloader import ArcWarcRecord

_PAGE_TYPES = ("text/html", "application/xhtml+xml")
_PICTURE_TYPE = "image/"
_STATUS_OK = "200"
_BLOCK_BYTES = 1 << 16


def check_can_read() -> None:
    """Raises a UserError that says what to install unless WARC files can be read."""
    try:
        import warcio  # noqa: F401
    except ImportError:
        raise UserError(
            "reading WARC files needs warcio: install it with `pip install warcio`, or give HTML"
            " files"
        ) from None


def read_warc(
    path: str, config: M3WConfig
) -> Iterator[PageDocument | PictureDocument | Unreadable]:
    """All pages and pictures of a file, in its order.

    Args:
        path: the file, local or gs://.
        config: how large pages and pictures may be.

    Yields:
        What was found. Where the file is broken or cut off, one `Unreadable`, and then nothing
        more: what follows cannot be found.
    """
    try:
        with files.open_binary(path) as file:
            yield from _read_records(file, path, config)
    except (MemoryError, UserError):
        raise
    except Exception as error:  # warcio and zlib raise whatever broken bytes lead to.
        yield Unreadable(place=path, detail=f"{type(error).__name__}: {error}")


def _read_records(
    file: BinaryIO, path: str, config: M3WConfig
) -> Iterator[PageDocument | PictureDocument | Unreadable]:
    # Not among the packages that training needs.
    from warcio.archiveiterator import ArchiveIterator

    for record in ArchiveIterator(file):
        found = _read_record(record, path, config)
        if found is not None:
            yield found


def _read_record(
    record: ArcWarcRecord, path: str, config: M3WConfig
) -> PageDocument | PictureDocument | Unreadable | None:
    """The page or picture of a record; None if it is something else."""
    http = record.http_headers
    if record.rec_type != "response" or http is None or http.get_statuscode() != _STATUS_OK:
        return None
    kind, charset = _content_type(http.get_header("Content-Type") or "")
    is_page = kind in _PAGE_TYPES
    if not is_page and not kind.startswith(_PICTURE_TYPE):
        return None
    address = (record.rec_headers.get_header("WARC-Target-URI") or "").strip("<> ")
    date = record.rec_headers.get_header("WARC-Date") or ""
    place = f"{path}: {address}"
    limit = config.max_page_bytes if is_page else config.max_image_bytes
    try:
        url = normal_url(address)
    except ValueError as error:
        return Unreadable(place=place, detail=str(error)) if is_page else None
    data = _read_at_most(record.content_stream(), limit + 1)
    if is_page and len(data) > limit:
        return Unreadable(place=place, detail=f"more than {limit} bytes")
    if is_page and _is_cut_off(record.raw_stream):
        return Unreadable(place=place, detail="the file ends before the record does")
    if is_page:
        return PageDocument(url=url, html=data, charset=charset, date=date)
    return PictureDocument(url=url, data=data, date=date)


def _read_at_most(stream: Any, limit: int) -> bytes:
    """The first `limit` bytes: what is packed small may be huge."""
    parts, left = [], limit
    while left > 0 and (part := stream.read(min(left, _BLOCK_BYTES))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _is_cut_off(stream: Any) -> bool:
    """Whether a record has fewer bytes than it says; reads what is left of it."""
    while stream.read(_BLOCK_BYTES):
        pass
    return bool(stream.limit > 0)


def _content_type(value: str) -> tuple[str, str]:
    """Kind and charset of a header such as `text/html; charset=UTF-8`, both in lower case."""
    message = email.message.Message()
    message["Content-Type"] = value.replace("\r", " ").replace("\n", " ")
    try:
        return message.get_content_type(), message.get_content_charset("") or ""
    except (LookupError, ValueError):  # A charset in the notation of RFC 2231 that makes no sense.
        return message.get_content_type(), ""
