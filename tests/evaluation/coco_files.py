"""A handful of pictures of one colour each, with captions in COCO's form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from flamingo_jax.config import BenchmarkConfig

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "black": (0, 0, 0), "red": (250, 10, 20), "green": (10, 200, 30), "blue": (20, 30, 240),
    "white": (255, 255, 255),
}  # fmt: skip
ANNOTATIONS, IMAGES = "annotations/captions.json", "pictures"


def captions_of(colour: str) -> tuple[str, ...]:
    return (f"A wall painted all {colour}.", f"nothing but {colour} paint", f"{colour} Everywhere")


def content() -> dict[str, Any]:
    """What the annotation file says: the captions in turns, the pictures last first."""
    ids = {colour: 100 - number for number, colour in enumerate(COLOURS)}
    return {
        "info": {"year": 2017},
        "images": [
            {"id": ids[colour], "file_name": f"{colour}.png", "license": 3}
            for colour in reversed(COLOURS)
        ],
        "annotations": [
            {"id": 7 * turn, "image_id": ids[colour], "caption": captions_of(colour)[turn]}
            for turn in range(3)
            for colour in COLOURS
        ],
    }


def write(
    folder: Path, annotations: Any = None, path: str = ANNOTATIONS, images: str = IMAGES
) -> Path:
    """Writes the data set, or pictures and another content of the annotation file.

    Returns:
      `folder`, in which everything lies at `path` and `images`.
    """
    (folder / images).mkdir(exist_ok=True)
    for name, colour in COLOURS.items():
        Image.new("RGB", (8, 6), colour).save(folder / images / f"{name}.png")
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_text(json.dumps(content() if annotations is None else annotations))
    return folder


def benchmark(folder: Path, **changes: Any) -> BenchmarkConfig:
    """The benchmark of the files, with the bare prompt unless `changes` say otherwise."""
    fields = {"name": "walls", "lead": "", "text_examples": 0} | changes
    return BenchmarkConfig(annotations=ANNOTATIONS, images=IMAGES, data_dir=str(folder), **fields)
