"""Writes the pictures of the reader's benchmark: photographs in size and in cost to decode.

Each is a piece of one large cloud of noise (much of it coarse, little of it fine, as in
photographs) with some shapes on it; no two are the same.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT, QUALITY = 640, 480, 87
PICTURES_PER_SHARD = 250
_CLOUD = 2048
_CELLS = (256, 64, 16, 4, 1)
"""Sizes of the noise's cells in pixels; amplitude falls with size."""
_SHAPES = 6
_WORDS = (
    "a", "an old", "some", "the small", "dog", "river", "market", "street", "under", "near",
    "with red", "children", "playing", "mountains", "at night", "in the morning", "bicycle",
    "wooden", "table", "white house", "of", "people", "sitting", "green field", "train",
)  # fmt: skip


def write_shards(folder: Path, num_pictures: int, seed: int = 0) -> list[Path]:
    """Writes tar shards of JPEG files and captions.

    Args:
        folder: where to.
        num_pictures: how many in all.
        seed: of what is in them.

    Returns:
        The shards, of `PICTURES_PER_SHARD` pictures each.
    """
    random = np.random.default_rng(seed)
    cloud = _cloud(random)
    shards: list[Path] = []
    for first in range(0, num_pictures, PICTURES_PER_SHARD):
        shards.append(folder / f"{len(shards):04d}.tar")
        with tarfile.open(shards[-1], "w") as tar:
            for number in range(first, min(first + PICTURES_PER_SHARD, num_pictures)):
                file = io.BytesIO()
                _picture(cloud, random).save(file, "JPEG", quality=QUALITY)
                words = random.choice(_WORDS, random.integers(6, 16))
                _add(tar, f"{number:06d}.jpg", file.getvalue())
                _add(tar, f"{number:06d}.txt", f"{' '.join(words)}.".encode())
    return shards


def _cloud(random: np.random.Generator) -> np.ndarray:
    cloud = np.zeros((_CLOUD, _CLOUD, 3), np.float32)
    for cell in _CELLS:
        side = _CLOUD // cell
        noise = random.normal(size=(3, side, side)).astype(np.float32)
        for channel in range(3):
            # Channels of a photograph are alike.
            layer = Image.fromarray(0.8 * noise[0] + 0.6 * noise[channel])
            smooth = layer.resize((_CLOUD, _CLOUD), Image.Resampling.BICUBIC)
            cloud[..., channel] += np.asarray(smooth) * cell**0.45
    return np.clip(cloud / cloud.std() * 56.0 + 118.0, 0, 255).astype(np.uint8)


def _picture(cloud: np.ndarray, random: np.random.Generator) -> Image.Image:
    top, left = (int(random.integers(_CLOUD - side)) for side in (HEIGHT, WIDTH))
    picture = Image.fromarray(cloud[top : top + HEIGHT, left : left + WIDTH])
    draw = ImageDraw.Draw(picture)
    for _ in range(_SHAPES):
        x, y, width, height = random.integers((0, 0, 20, 20), (WIDTH, HEIGHT, 120, 120)).tolist()
        colour = tuple(random.integers(0, 256, 3).tolist())
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        shape((x, y, x + width, y + height), fill=colour)
    return picture


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    header = tarfile.TarInfo(name)
    header.size = len(content)
    tar.addfile(header, io.BytesIO(content))
