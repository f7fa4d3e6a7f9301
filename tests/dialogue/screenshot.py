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
from flamingo_jax.dialogue.page import SHOWN
from tests.dialogue import browser, visitor

_SCENES = ((4, 2), (7, 1))
"""Digit and count of the pictures."""

_QUESTIONS = (
    (0, ""),
    (None, "which ink is it?"),
    (1, "which digit is it?"),
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
            with browser.open_browser(Path(name), width=820, height=1280) as page:
                page.open(url)
                for number, (picture, text) in enumerate(_QUESTIONS, start=1):
                    file = files[picture] if picture is not None else None
                    visitor.send(page, text, file, lambda n=number: visitor.num_answers(page) == n)
                    visitor.wait_until_said(page)
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
        Image.fromarray(pixels).resize((120, 120), Image.Resampling.NEAREST).save(files[-1])
    return files


if __name__ == "__main__":
    main()
