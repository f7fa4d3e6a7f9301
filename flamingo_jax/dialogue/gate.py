"""What the page's server lets through: its own page, and files that were uploaded to it.

Gradio's server has more doors than the page needs: it fetches addresses for the browser, lists its
functions, and shows files of its working folder's caches. All but what is named here is refused
before it gets there. That the server is asked by its own address keeps other sites' pages out,
which could reach it under a name of theirs (DNS rebinding).
"""

from __future__ import annotations

import json
import posixpath
import re
import urllib.parse
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_FILE = "/gradio_api/file="
_READ = re.compile(
    r"/|/config|/theme\.css|/favicon\.ico|/manifest\.json|/(assets|static|svelte)/[\w./@~-]+"
    r"|/gradio_api/(queue/data|upload_progress|startup-events|app_id|heartbeat/\w+)"
)
_WRITE = re.compile(r"/gradio_api/(queue/join|upload|cancel|reset)/?")
_JSON = re.compile(r"/gradio_api/(queue/join|cancel|reset)/?")
_MAX_JSON_BYTES = 256 * 1024

_HEADERS = {
    # Nothing is loaded from anywhere else. Gradio's page needs inline scripts and styles.
    "content-security-policy": "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline'"
    " 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'self'; object-src 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


class Gate:
    """Wraps the page's application; answers 403 where it lets nothing through."""

    def __init__(
        self, application: Application, *, uploads: Path, hosts: frozenset[str] | None
    ) -> None:
        """Puts a gate in front of an application.

        Args:
            application: Gradio's.
            uploads: the folder that uploads are kept in; only files below it are shown.
            hosts: names that the server may be asked by, without port; None: any.
        """
        self._application = application
        self._uploads = uploads.resolve()
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request."""
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        if not self._is_open(scope):
            await _refuse(send)
            return
        if scope["method"] == "POST" and _JSON.fullmatch(scope["path"]):
            body = await _read(receive)
            if body is None or not self._names_uploads_only(body):
                await _refuse(send)
                return
            receive = _again(body, receive)
        await self._application(scope, receive, _with_headers(send))

    def _is_open(self, scope: Scope) -> bool:
        """Whether the page needs what is asked for."""
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        asked = headers.get(b"host", "")
        if self._hosts is not None and _name(asked) not in self._hosts:
            return False
        path, method = scope["path"], scope["method"]
        origin = headers.get(b"origin")
        if method == "POST" and origin is not None and origin.partition("://")[2] != asked:
            return False  # A form or script of another site's page.
        if method in ("GET", "HEAD"):
            if path.startswith(_FILE):
                return self._is_upload(path.removeprefix(_FILE))
            return bool(_READ.fullmatch(path)) and ".." not in path.split("/")
        return method == "POST" and bool(_WRITE.fullmatch(path))

    def _is_upload(self, path: str) -> bool:
        """Whether a path is that of a file in the folder of uploads."""
        if "\0" in path or "\\" in path or path != posixpath.normpath(path):
            return False
        resolved = Path(path).resolve()
        return resolved.is_relative_to(self._uploads) and resolved.is_file()

    def _names_uploads_only(self, body: bytes) -> bool:
        """Whether all files in a message to the server are uploads; it would fetch addresses."""
        try:
            return all(self._is_upload(path) for path in _paths(json.loads(body)))
        except (ValueError, RecursionError):
            return False


def _name(address: str) -> str | None:
    """The host of "host:port"; None if it is none."""
    try:
        return urllib.parse.urlsplit(f"//{address}").hostname
    except ValueError:
        return None


def _paths(value: Any) -> list[str]:
    """Every "path" in JSON, at any depth; what is no text counts as one that nothing has."""
    if isinstance(value, list):
        return [path for item in value for path in _paths(item)]
    if not isinstance(value, dict):
        return []
    paths = [path for item in value.values() for path in _paths(item)]
    if "path" in value:
        path = value["path"]
        paths.append(path if isinstance(path, str) else "")
    return paths


async def _read(receive: Receive) -> bytes | None:
    """A request's body; None if it is too large or cut off."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > _MAX_JSON_BYTES:
            return None
        if not message.get("more_body"):
            return body


def _again(body: bytes, receive: Receive) -> Receive:
    """What gives a body that has been read once more."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> MutableMapping[str, Any]:
        return pending.pop() if pending else await receive()

    return give


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            added = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await send(message)

    return sending


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": b"not served\n"})
