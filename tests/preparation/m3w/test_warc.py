"""WARC files: what is read of them, packed in whatever way, and where reading stops."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from flamingo_jax.preparation.m3w.config import M3WConfig
from flamingo_jax.preparation.m3w.documents import PageDocument, PictureDocument, Unreadable
from tests.preparation.m3w.crawl import http_response, warc_record
from tests.preparation.m3w.pictures import picture

pytest.importorskip("warcio", reason="reads WARC files")
from flamingo_jax.preparation.m3w.warc import read_warc

URL = "http://example.org/a.html"
HTML = "<p>Otters é</p>".encode() * 200
DATE = "2021-04-01T00:00:00Z"


def _read(
    path: Path,
    data: bytes,
    config: M3WConfig = M3WConfig(),  # noqa: B008
) -> Sequence[PageDocument | PictureDocument | Unreadable]:
    path.write_bytes(data)
    return list(read_warc(str(path), config))


def _page(html: bytes = HTML, charset: str = "utf-8") -> PageDocument:
    return PageDocument(url=URL, html=html, charset=charset, date=DATE)


@pytest.mark.parametrize("is_packed", [False, True])
@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_bodies(tmp_path: Path, is_packed: bool, coding: str, is_chunked: bool) -> None:
    http = http_response(HTML, "text/html; charset=UTF-8", coding, is_chunked)
    image = http_response(picture(), "image/jpeg", coding, is_chunked)
    records = [warc_record(URL, http), warc_record("http://example.org/a.jpg", image)]
    pack = gzip.compress if is_packed else bytes
    data = b"".join(map(pack, records))
    found = _read(tmp_path / "a.warc.gz", data)
    expected = PictureDocument(url="http://example.org/a.jpg", data=picture(), date=DATE)
    assert found == [_page(), expected]


def test_what_is_passed_over(tmp_path: Path) -> None:
    page = http_response(HTML, "text/html")
    records = [
        b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 5\r\n\r\nhello\r\n\r\n",
        warc_record(URL, b"GET /a.html HTTP/1.1\r\n\r\n", kind="request"),
        warc_record(URL, page, kind="revisit"),
        warc_record(URL, http_response(HTML, "text/html", status="404")),
        warc_record(URL, http_response(HTML, "text/html", status="301")),
        warc_record(URL, http_response(HTML, "text/css")),
        warc_record("http://[", http_response(picture(), "image/png")),
        warc_record(f"<{URL}#top>", page),
    ]
    assert _read(tmp_path / "a.warc", b"".join(records)) == [_page(charset="")]


def test_pages_without_a_usable_address_or_size(tmp_path: Path) -> None:
    page = http_response(HTML, "text/html", "gzip")
    config = M3WConfig(max_page_bytes=len(HTML))
    assert _read(tmp_path / "a.warc", warc_record(URL, page), config) == [_page(charset="")]
    config = M3WConfig(max_page_bytes=len(HTML) - 1)
    (found,) = _read(tmp_path / "a.warc", warc_record(URL, page), config)
    assert isinstance(found, Unreadable) and "more than" in found.detail
    (found,) = _read(tmp_path / "a.warc", warc_record("http://[", page))
    assert isinstance(found, Unreadable)


def test_a_body_that_unpacks_to_very_much_is_cut(tmp_path: Path) -> None:
    bomb = http_response(bytes(50_000_000), "image/png", "gzip")
    config = M3WConfig(max_image_bytes=1000)
    (found,) = _read(tmp_path / "a.warc", warc_record(URL, bomb), config)
    assert isinstance(found, PictureDocument) and len(found.data) <= 1001


def test_what_follows_a_broken_place_is_one_unreadable(tmp_path: Path) -> None:
    record = warc_record(URL, http_response(HTML, "text/html; charset=utf-8"))
    members = [gzip.compress(record) for _ in range(3)]
    whole = b"".join(members)
    # Damaged in the second record.
    damaged = bytearray(whole)
    damaged[len(members[0]) + len(members[1]) // 2] ^= 0xFF
    found = _read(tmp_path / "a.warc.gz", bytes(damaged))
    assert found[0] == _page()
    assert sum(isinstance(item, Unreadable) for item in found) == 1
    # Not a WARC file at all.
    (item,) = _read(tmp_path / "b.warc.gz", b"<html>no</html>" * 100)
    assert isinstance(item, Unreadable) and item.place.endswith("b.warc.gz")
    (item,) = list(read_warc(str(tmp_path / "none.warc"), M3WConfig()))
    assert isinstance(item, Unreadable)


def test_a_file_that_is_cut_off_keeps_what_is_whole(tmp_path: Path) -> None:
    html = np.random.default_rng(0).integers(32, 127, 5000, np.uint8).tobytes()
    record = warc_record(URL, http_response(html, "text/html; charset=utf-8"))
    for pack in (gzip.compress, bytes):
        whole = pack(record)
        for share in (0.3, 0.9):
            found = _read(tmp_path / "a.warc.gz", whole + whole[: int(share * len(whole))])
            assert found[0] == _page(html)
            (item,) = found[1:]
            assert isinstance(item, Unreadable) and "ends before" in item.detail
