"""Picture files for tests, all different and small."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def pixels(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Smooth blobs of colour, uint8 [height, width, 3]: what a compression hardly changes."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
    return np.asarray(
        Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.uint8
    )


def encoded(array: np.ndarray, kind: str = "JPEG", **options: object) -> bytes:
    """The file of pixels."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, format=kind, **options)
    return file.getvalue()


def picture(width: int = 96, height: int = 80, seed: int = 0, kind: str = "JPEG") -> bytes:
    """The file of a picture."""
    return encoded(pixels(width, height, seed), kind)


def decoded(data: bytes) -> np.ndarray:
    """The pixels of a file, uint8 [H, W, 3]."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
