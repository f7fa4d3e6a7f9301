"""Takes the picture of the page for docs/chat.md.

python -m tests.dialogue.screenshot --workdir=runs/quickstart --output=docs/chat/page.png
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from flamingo_jax.data import grammar, scenes
from flamingo_jax.dialogue.page import MESSAGE, SHOWN
from tests.dialogue import browser

_SCENES = ((4, 2), (7, 1))
"""Digit and count of the pictures."""

_QUESTIONS = (
    (0, "which ink is it?"),
    (None, "how many do you see?"),
    (1, ""),
)
"""Which picture is shown, if any, and what is asked."""


def main() -> None:
    """Serves a run, has a conversation, and keeps how it looks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    command = [
        sys.executable, "-m", "flamingo_jax.chat", f"--workdir={options.workdir}",
        "--prompt=question", "--serve", "--port=0",
    ]  # fmt: skip
    with (
        tempfile.TemporaryDirectory() as name,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1) as server,
    ):
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[4]
            files = _paint(Path(name), options.seed)
            with browser.open_browser(Path(name), width=820, height=1180) as page:
                page.open(url)
                for number, (picture, text) in enumerate(_QUESTIONS, start=1):
                    _send(page, files[picture] if picture is not None else None, text)
                    answered = f"#{SHOWN} [data-testid=bot]"
                    page.wait_for(lambda n=number, a=answered: _count(page, a) == n, "an answer")
                page.screenshot(options.output)
                print(page.text(f"#{SHOWN}"))
        finally:
            server.terminate()


def _paint(folder: Path, seed: int) -> list[Path]:
    """Pictures of the embedded world, of scans that no stage was trained on."""
    random = np.random.default_rng(seed)
    files = []
    for digit, count in _SCENES:
        scene = scenes.sample_scene(random, "test", digit=digit, count=count)
        print(f"painted: {grammar.caption(scene)}")
        pixels = scenes.render(scene, "test", random)
        files.append(folder / f"{digit}.png")
        Image.fromarray(pixels).resize((192, 192), Image.Resampling.NEAREST).save(files[-1])
    return files


def _send(page: browser.Browser, file: Path | None, text: str) -> None:
    if file is not None:
        page.choose(f"#{MESSAGE} input[type=file]", file)
        page.wait_for(lambda: _count(page, f"#{MESSAGE} [class*=thumbnail-item]") == 1, "a file")
    page.write(f"#{MESSAGE} textarea", f"{text}\ue007")


def _count(page: browser.Browser, selector: str) -> int:
    return int(page.run("return document.querySelectorAll(arguments[0]).length", selector))


if __name__ == "__main__":
    main()
