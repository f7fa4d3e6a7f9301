"""Twelve pages, of which four are kept, with counts made by hand; as files and as a WARC file."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from flamingo_jax.preparation.m3w.config import M3WConfig
from tests.preparation.m3w.pictures import encoded, picture, pixels
from tests.preparation.m3w.texts import good_text, sentences

SITE = "https://example.org"
CONFIG = M3WConfig(blocked_words=("forbidden",), max_page_bytes=20_000, num_shards=3)
OVERRIDES = (
    "--config.blocked_words=forbidden",
    "--config.max_page_bytes=20000",
    "--config.num_shards=3",
)

PAGES_IN, PAGES_OUT = 12, 4
PAGES_DROPPED = {
    "unreadable": 1,
    "not_english": 1,
    "blocked_words": 1,
    "no_image": 1,
    "too_few_words": 1,
    "duplicate_lines": 1,
    "no_image_left": 2,
}
IMAGES_IN, IMAGES_OUT = 18, 6
IMAGES_DROPPED = {
    "page_dropped": 5,
    "missing_media": 1,
    "not_an_image": 1,
    "truncated_image": 1,
    "too_small": 1,
    "aspect_ratio": 1,
    "single_colour": 1,
    "near_duplicate": 1,
}
KEPT = ("good", "small", "mixed", "malformed")

EVALUATION = {"known.jpg": picture(160, 120, seed=7)}
PICTURES = {
    "a.jpg": picture(seed=1),
    "b.png": picture(seed=2, kind="PNG"),
    "tiny.jpg": picture(32, 32, seed=3),
    "long.jpg": picture(400, 100, seed=4),
    "cut.jpg": picture(200, 200, seed=5)[:2000],
    "plain.png": encoded(pixels(80, 80)[:1, :1].repeat(80, 0).repeat(80, 1), "PNG"),
    "copy.jpg": encoded(pixels(120, 90, seed=7), quality=60),
    "page.jpg": b"<html>Not found</html>",
    "c.jpg": picture(800, 600, seed=6),
}


def _page(*parts: str, title: str = "Otters of the river") -> str:
    body = "\n".join(part if part.startswith("<") else f"<p>{part}</p>" for part in parts)
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{body}</body></html>"


def _text(seed: int) -> list[str]:
    return good_text(seed=seed).split("\n\n")


def _image(name: str) -> str:
    return f"<img src='/img/{name}'>"


_GERMAN = ["Der Otter und die Katze sind nicht in dem Haus, und es ist auch kalt."] * 8
PAGES = {
    "good": _page(*_text(1)[:6], _image("a.jpg"), *_text(1)[6:], _image("b.png")),
    "small": _page(_image("tiny.jpg"), *_text(2), _image("b.png")),
    "long": _page(*_text(3), _image("long.jpg")),
    "german": _page(*_GERMAN, _image("a.jpg"), title="Der Otter"),
    "bare": _page(*_text(4)),
    "short": _page(*_text(5)[:3], _image("a.jpg")),
    "repeated": _page(*_text(6)[:8], *_text(6)[:8], _image("a.jpg"), _image("b.png")),
    "forbidden": _page(*_text(7), "A forbidden word.", _image("a.jpg")),
    "mixed": _page(
        _image("none.jpg"), *_text(8)[:4], _image("c.jpg"), _image("cut.jpg"), *_text(8)[4:],
        _image("plain.png"), _image("c.jpg"),
    ),
    "known": _page(*_text(9), _image("copy.jpg"), _image("page.jpg")),
    "large": _page(*sentences(400, seed=10), _image("a.jpg")),
    "malformed": "<title>Broken <p>markup</title><div><ul><li>One</b>"
    + "</div><p>".join(_text(11))
    + "<img src=/img/a.jpg alt='x><<p>y</a></table>'><!-- never closed <p>z",
}  # fmt: skip


def write_folder(folder: Path) -> None:
    """`folder/site/*.html` and `folder/site/img/*`."""
    (folder / "site" / "img").mkdir(parents=True)
    for name, html in PAGES.items():
        (folder / "site" / f"{name}.html").write_text(html)
    for name, data in PICTURES.items():
        (folder / "site" / "img" / name).write_bytes(data)


def write_evaluation(folder: Path) -> None:
    """The evaluation pictures, `folder/*`."""
    folder.mkdir()
    for name, data in EVALUATION.items():
        (folder / name).write_bytes(data)


def warc_record(
    url: str, http: bytes, date: str = "2021-04-01T00:00:00Z", kind: str = "response"
) -> bytes:
    """A record of a WARC file."""
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: {date}\r\n"
        "WARC-Record-ID: <urn:uuid:12345678-1234-1234-1234-123456789012>\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    return head.encode() + http + b"\r\n\r\n"


def http_response(
    body: bytes, content_type: str, coding: str = "", is_chunked: bool = False, status: str = "200"
) -> bytes:
    """What a server answers; `coding` is "", "gzip" or "deflate"."""
    head = f"HTTP/1.1 {status} Some reason\r\nContent-Type: {content_type}\r\n"
    if coding:
        body = gzip.compress(body) if coding == "gzip" else zlib.compress(body)
        head += f"Content-Encoding: {coding}\r\n"
    if is_chunked:
        parts = [body[start : start + 700] for start in range(0, len(body), 700)]
        chunks = [f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts]
        body = b"".join([*chunks, b"0\r\n\r\n"])
        head += "Transfer-Encoding: chunked\r\n"
    return head.encode() + b"\r\n" + body


def warc_records() -> list[bytes]:
    """The pages and pictures as a crawl gets them, with what else is in a crawl."""
    records = [warc_record(f"{SITE}/robots.txt", http_response(b"User-agent: *", "text/plain"))]
    for number, (name, html) in enumerate(PAGES.items()):
        coding = ("", "gzip", "deflate")[number % 3]
        http = http_response(html.encode(), "text/html; charset=utf-8", coding, number % 2 == 0)
        records.append(warc_record(f"{SITE}/{name}.html", http))
    for name, data in PICTURES.items():
        records.append(warc_record(f"{SITE}/img/{name}", http_response(data, "image/jpeg")))
    # An older picture at the address of one that is kept, and one that no page shows.
    old = http_response(picture(32, 32), "image/jpeg")
    records.append(warc_record(f"{SITE}/img/a.jpg", old, "2020-04-01T00:00:00Z"))
    records.append(warc_record(f"{SITE}/img/unused.jpg", http_response(picture(), "image/jpeg")))
    gone = http_response(b"<p>Gone", "text/html", status="404")
    records.append(warc_record(f"{SITE}/gone.html", gone))
    records.append(warc_record(f"{SITE}/good.html", b"GET / HTTP/1.1\r\n\r\n", kind="request"))
    return records


def older_page() -> bytes:
    """A record with an older version of a page that is kept, with one picture."""
    html = _page(*_text(20), _image("a.jpg")).encode()
    http = http_response(html, "text/html")
    return warc_record(f"{SITE}/good.html", http, "2020-04-01T00:00:00Z")
