"""Small RGB scenes and clips composed of handwritten digits.

A scene shows one to three scans of the same digit in a row: an ink colour on a ground, at the
top, in the middle or at the bottom. A picture has three rows of three cells, each the size of a
scan, so that the scans are shown as they are.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from flamingo_jax.data import digits

MAX_DIGITS = 3
IMAGE_SIZE = MAX_DIGITS * digits.SCAN_SIZE

INKS: dict[str, tuple[int, int, int]] = {
    "red": (225, 40, 40),
    "green": (40, 190, 60),
    "blue": (50, 80, 235),
    "yellow": (245, 220, 50),
    "purple": (165, 50, 200),
    "orange": (250, 140, 30),
}
GROUNDS: dict[str, tuple[int, int, int]] = {
    "black": (12, 12, 12),
    "white": (245, 245, 245),
    "grey": (128, 128, 128),
    "brown": (95, 55, 25),
}
PLACES = ("top", "middle", "bottom")

_NOISE = 6.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """What a picture shows.

    Attributes:
        digit: the digit, 0 to 9.
        scans: for each of the one to three glyphs, its number within the scans of the digit.
        ink: a key of `INKS`.
        ground: a key of `GROUNDS`.
        place: one of `PLACES`.
        columns: for each glyph, its column of cells, 0 to 2, in rising order.
    """

    digit: int
    scans: tuple[int, ...]
    ink: str
    ground: str
    place: str
    columns: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many glyphs are shown, 1 to 3."""
        return len(self.scans)


def sample_scene(
    random: np.random.Generator, split: str, digit: int | None = None, count: int | None = None
) -> Scene:
    """Draws a scene whose scans are of `split`; `digit` and `count` fix what they name."""
    digit = int(random.integers(digits.NUM_CLASSES)) if digit is None else digit
    count = int(random.choice(MAX_DIGITS, p=(0.5, 0.3, 0.2))) + 1 if count is None else count
    available = len(digits.scans_by_class(split)[digit])
    return Scene(
        digit=digit,
        scans=tuple(int(scan) for scan in random.integers(available, size=count)),
        ink=list(INKS)[random.integers(len(INKS))],
        ground=list(GROUNDS)[random.integers(len(GROUNDS))],
        place=PLACES[random.integers(len(PLACES))],
        columns=tuple(sorted(int(column) for column in random.permutation(MAX_DIGITS)[:count])),
    )


def render(scene: Scene, split: str, random: np.random.Generator) -> np.ndarray:
    """Paints a scene.

    Args:
        scene: what to show.
        split: the split that `scene.scans` counts in.
        random: source of the faint pixel noise.

    Returns:
        uint8 [24, 24, 3].
    """
    size = digits.SCAN_SIZE
    coverage_HW = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.float32)
    row = PLACES.index(scene.place) * size
    for scan, column in zip(scene.scans, scene.columns, strict=True):
        cell = coverage_HW[row : row + size, column * size : (column + 1) * size]
        cell[:] = digits.scans_by_class(split)[scene.digit][scan]
    ground = np.asarray(GROUNDS[scene.ground], np.float32)
    ink = np.asarray(INKS[scene.ink], np.float32)
    image_HWC = ground + coverage_HW[..., None] * (ink - ground)
    image_HWC += random.normal(0.0, _NOISE, image_HWC.shape[:2]).astype(np.float32)[..., None]
    return np.clip(np.rint(image_HWC), 0, 255).astype(np.uint8)
