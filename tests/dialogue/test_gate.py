"""What the page's server lets through, without the server."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.dialogue.gate import Gate

HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    (folder / "ab").mkdir(parents=True)
    (folder / "ab" / "cat 1.png").write_bytes(b"cat")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.txt")
    return folder


def _ask(
    uploads: Path,
    path: str,
    *,
    method: str = "GET",
    host: str = "127.0.0.1:7860",
    body: bytes = b"",
    hosts: frozenset[str] | None = HOSTS,
    origin: str | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers, and the body that the application got."""
    got: list[bytes] = []
    sent: list[Any] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        got.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    halves = [body[: len(body) // 2], body[len(body) // 2 :]]
    pending = [
        {"type": "http.request", "body": half, "more_body": number == 0}
        for number, half in enumerate(halves)
    ]

    async def receive() -> Any:
        return pending.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"Host", host.encode())]
    headers += [] if origin is None else [(b"Origin", origin.encode())]
    scope = {"type": "http", "method": method, "path": path, "headers": headers}
    asyncio.run(Gate(application, uploads=uploads, hosts=hosts)(scope, receive, send))
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, got[0] if got else b""


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/config"),
        ("GET", "/assets/index-B4_x.js"),
        ("GET", "/static/img/logo.svg"),
        ("GET", "/gradio_api/queue/data"),
        ("POST", "/gradio_api/upload"),
        ("HEAD", "/"),
    ],
)
def test_the_page_s_own_requests_pass(uploads: Path, method: str, path: str) -> None:
    status, headers, _ = _ask(uploads, path, method=method)
    assert status == 200
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "{uploads}/../secret.txt",
        "{uploads}/ab/../../secret.txt",
        "{uploads}/link.png",
        "{uploads}",
        "{uploads}/none.png",
        "{uploads}/ab//cat 1.png",
        "{uploads}/ab/cat 1.png\0",
        "uploads/ab/cat 1.png",
        "http://127.0.0.1:22/",
        "file:///etc/passwd",
        "",
    ],
)
def test_no_file_but_uploads_is_shown_or_taken(uploads: Path, path: str) -> None:
    path = path.format(uploads=uploads)
    assert _ask(uploads, f"/gradio_api/file={path}")[0] == 403
    body = json.dumps({"data": [{"text": "", "files": [{"path": path}]}]}).encode()
    assert _ask(uploads, "/gradio_api/queue/join", method="POST", body=body)[0] == 403


def test_uploads_are_shown_and_taken(uploads: Path) -> None:
    path = str(uploads / "ab" / "cat 1.png")
    assert _ask(uploads, f"/gradio_api/file={path}")[0] == 200
    body = json.dumps({"data": [{"text": "a", "files": [{"path": path}]}, "greedy"]}).encode()
    assert _ask(uploads, "/gradio_api/queue/join", method="POST", body=body)[::2] == (200, body)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/proxy=https://x.hf.space/"),
        ("GET", "/gradio_api/file/etc/passwd"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/openapi.json"),
        ("GET", "/gradio_api/stream/a/b/c/playlist.m3u8"),
        ("GET", "/monitoring"),
        ("GET", "/assets/../config.json"),
        ("GET", "/file=/etc/passwd"),
        ("POST", "/gradio_api/run/send"),
        ("POST", "/gradio_api/call/send"),
        ("POST", "/"),
        ("PUT", "/gradio_api/upload"),
        ("POST", "/gradio_api/vibe-edit"),
    ],
)
def test_other_doors_are_closed(uploads: Path, method: str, path: str) -> None:
    assert _ask(uploads, path, method=method, body=b"{}")[0] == 403


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[" * 100_000, b'{"path": 3}', b" " * (256 * 1024) + b"{}"]
)
def test_what_is_no_message_is_refused(uploads: Path, body: bytes) -> None:
    assert _ask(uploads, "/gradio_api/queue/join", method="POST", body=body)[0] == 403


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:80", 200), ("[::1]:7860", 200), ("evil.example", 403), ("", 403), ("[", 403)],
)
def test_only_its_own_names_reach_a_server_on_loopback(
    uploads: Path, host: str, status: int
) -> None:
    assert _ask(uploads, "/", host=host)[0] == status
    assert _ask(uploads, "/", host=host, hosts=None)[0] == 200


@pytest.mark.parametrize("hosts", [HOSTS, None])
def test_pages_of_other_sites_cannot_write(uploads: Path, hosts: frozenset[str] | None) -> None:
    for origin, status in (
        ("http://127.0.0.1:7860", 200),
        ("http://127.0.0.1:80", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ):
        answered = _ask(
            uploads, "/gradio_api/upload", method="POST", hosts=hosts, origin=origin, body=b"x"
        )
        assert answered[0] == status
