"""A web server for the tests: good pictures, and every way in which one cannot be had."""

from __future__ import annotations

import collections
import contextlib
import http.server
import io
import threading
import time
from collections.abc import Iterator

from PIL import Image


def jpeg(width: int, height: int, colour: tuple[int, int, int] = (200, 40, 40)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "JPEG")
    return file.getvalue()


class PictureServer(http.server.ThreadingHTTPServer):
    """Counts requests by path; `url` is where it listens.

    `/good/<anything>` is a picture, whose colour follows from the path.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: collections.Counter[str] = collections.Counter()
        self.user_agents: set[str] = set()
        self.lock = threading.Lock()
        self.under_way = self.most_under_way = 0
        self.good_delay = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # Clients that hang up on purpose are what is tested.


@contextlib.contextmanager
def serving() -> Iterator[PictureServer]:
    server = PictureServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: PictureServer

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.asked[self.path] += 1
            self.server.user_agents.add(self.headers["User-Agent"])
            self.server.under_way += 1
            self.server.most_under_way = max(self.server.most_under_way, self.server.under_way)
        try:
            name = self.path.strip("/").split("/")[0].split("?")[0]
            getattr(self, f"_{name}")()
        finally:
            with self.server.lock:
                self.server.under_way -= 1

    def _send(self, data: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def _good(self) -> None:
        time.sleep(self.server.good_delay)
        self._send(jpeg(640, 480, (sum(self.path.encode()) % 256, 40, 40)))

    def _redirect(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/good/behind-a-redirect")
        self.end_headers()

    def _loop(self) -> None:
        self.send_response(301)
        self.send_header("Location", self.path)
        self.end_headers()

    def _to_file(self) -> None:
        self.send_response(302)
        self.send_header("Location", "file:///etc/passwd")
        self.end_headers()

    def _missing(self) -> None:
        self.send_error(404)

    def _busy(self) -> None:
        """Has time at the third request."""
        if self.server.asked[self.path] >= 3:
            return self._good()
        self.send_error(503)

    def _slow(self) -> None:
        time.sleep(1.5)

    def _drip(self) -> None:
        """A byte now and then, so that no single read is slow."""
        self.send_response(200)
        self.end_headers()
        for _ in range(40):
            self.wfile.write(b"\xff")
            time.sleep(0.05)

    def _drip_headers(self) -> None:
        for _ in range(40):
            self.wfile.write(b"HTTP/1.0 200 OK"[:1])
            time.sleep(0.05)

    def _html(self) -> None:
        self._send(b"<html><body>Not found, but status 200</body></html>")

    def _empty(self) -> None:
        self._send(b"")

    def _half_a_picture(self) -> None:
        data = jpeg(640, 480)
        self._send(data[: len(data) // 2])

    def _half_a_transfer(self) -> None:
        data = jpeg(640, 480)
        self._send(data[: len(data) // 2], length=len(data))

    def _declared_large(self) -> None:
        self._send(b"", length=10**12)

    def _endless(self) -> None:
        """No length is told, and the body does not end."""
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b"x" * 65536)

    def _opted_out(self) -> None:
        self._send(jpeg(64, 64), X_Robots_Tag="somebot: noindex, NoAI")

    def _hangs_up(self) -> None:
        self.connection.close()
