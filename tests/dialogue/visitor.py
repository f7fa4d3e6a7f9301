"""What a person does on the page."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from flamingo_jax.dialogue.page import MESSAGE, SHOWN
from tests.dialogue.browser import Browser

ENTER = "\ue007"


def send(page: Browser, text: str, file: Path | None, until: Callable[[], bool]) -> None:
    """Sends a message; while the answer before it is on its way, nothing would be sent."""
    if file:
        page.choose(f"#{MESSAGE} input[type=file]", file)
        page.wait_for(lambda: count(page, f"#{MESSAGE} [class*=thumbnail-item]") == 1, "a file")
    page.write(f"#{MESSAGE} textarea", text)

    def is_sent() -> bool:
        if not until() and written(page) == text:
            page.write(f"#{MESSAGE} textarea", ENTER)
        return until()

    page.wait_for(is_sent, f"an answer to {text!r}")


def wait_until_said(page: Browser) -> None:
    """Waits until the last answer has not grown for a second."""

    def is_still() -> bool:
        before = page.text(f"#{SHOWN}")
        time.sleep(1.0)
        return page.text(f"#{SHOWN}") == before

    page.wait_for(is_still, "an answer that is whole")


def num_answers(page: Browser) -> int:
    return count(page, f"#{SHOWN} [data-testid=bot]")


def written(page: Browser) -> str:
    """What stands in the box for messages."""
    return str(page.run(f"return document.querySelector('#{MESSAGE} textarea').value"))


def count(page: Browser, selector: str) -> int:
    return int(page.run("return document.querySelectorAll(arguments[0]).length", selector))
