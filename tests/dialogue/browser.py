"""A headless Chromium, driven through chromedriver: the WebDriver protocol, JSON over HTTP."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The protocol's key of an element's number."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
DRIVER = "chromedriver"


def missing() -> str:
    """Why there is no browser to test with; empty if there is one."""
    if shutil.which(DRIVER) is None:
        return "chromedriver is not installed"
    if not any(map(shutil.which, BROWSERS)):
        return "no Chromium is installed"
    return ""


class Browser:
    """One page of a browser."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, url: str) -> None:
        _request(f"{self._session}/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return _request(
            f"{self._session}/execute/sync", {"script": script, "args": list(arguments)}
        )

    def find(self, selector: str) -> str:
        """The element of a CSS selector, as soon as there is one."""
        return str(self.wait_for(lambda: self._find(selector), f"element {selector}"))

    def _find(self, selector: str) -> str | None:
        found = _request(f"{self._session}/elements", {"using": "css selector", "value": selector})
        return found[0][_ELEMENT] if found else None

    def write(self, selector: str, text: str) -> None:
        """Types into an element."""
        _request(f"{self._session}/element/{self.find(selector)}/value", {"text": text})

    def choose(self, selector: str, file: Path) -> None:
        """Chooses a file for an input, which forgets others that were chosen before."""
        self.find(selector)
        self.run("document.querySelector(arguments[0]).value = ''", selector)
        self.write(selector, str(file))

    def click(self, selector: str) -> None:
        _request(f"{self._session}/element/{self.find(selector)}/click", {})

    def text(self, selector: str) -> str:
        """All text of an element; empty if there is none."""
        script = "const e = document.querySelector(arguments[0]); return e ? e.innerText : ''"
        return str(self.run(script, selector))

    def wait_for(self, condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        """What a condition gives, once it is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := condition():
                return found
            time.sleep(0.1)
        raise AssertionError(f"not in {seconds:.0f} s: {what}; the page says {self.text('body')!r}")

    def log(self) -> list[str]:
        """What the page's scripts and requests complained of since the last call."""
        entries = _request(f"{self._session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries]

    def screenshot(self, file: Path) -> None:
        image = _request(f"{self._session}/screenshot", None)
        file.write_bytes(base64.b64decode(image))


@contextlib.contextmanager
def open_browser(folder: Path, width: int = 1000, height: int = 900) -> Iterator[Browser]:
    """A browser with a profile of its own in `folder`; closed at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        [DRIVER, f"--port={port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"HOME": str(folder)},
    )
    try:
        root = f"http://127.0.0.1:{port}"
        _wait_until_ready(root)
        arguments = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--hide-scrollbars",
            "--force-color-profile=srgb", f"--user-data-dir={folder / 'profile'}",
            f"--window-size={width},{height}",
        ]  # fmt: skip
        binary = next(found for name in BROWSERS if (found := shutil.which(name)))
        options = {"binary": binary, "args": arguments}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = _request(f"{root}/session", {"capabilities": {"alwaysMatch": wanted}})
        session = f"{root}/session/{made['sessionId']}"
        try:
            yield Browser(session)
        finally:
            _request(session, None, method="DELETE")
    finally:
        driver.terminate()
        driver.wait(timeout=30)


def _wait_until_ready(root: str) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError):
            if _request(f"{root}/status", None)["ready"]:
                return
        time.sleep(0.1)
    raise AssertionError("chromedriver does not answer")


def _request(url: str, body: Any, method: str = "") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url, data, {"Content-Type": "application/json"}, method=method or None
    )
    # No proxy: the driver is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=120) as answer:
            return json.loads(answer.read())["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{url}: {error.read().decode(errors='replace')[:500]}") from None
