"""Small RGB scenes and clips composed of handwritten digits.

A scene shows one to three scans of the same digit in a row: an ink colour on a ground, at the
top, in the middle or at the bottom.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from flamingo_jax.data import digits

IMAGE_SIZE = 32
GLYPH_SIZE = 10
MAX_DIGITS = 3

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
PLACES: dict[str, int] = {"top": 2, "middle": 11, "bottom": 20}

_NOISE = 6.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scene:
    """What a picture shows.

    Attributes:
        digit: the digit, 0 to 9.
        scans: for each of the one to three glyphs, its number within the scans of the digit.
        ink: a key of `INKS`.
        ground: a key of `GROUNDS`.
        place: a key of `PLACES`.
        shift: (down, right) displacement of the whole row in pixels, each in [-1, 1].
    """

    digit: int
    scans: tuple[int, ...]
    ink: str
    ground: str
    place: str
    shift: tuple[int, int] = (0, 0)

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
        place=list(PLACES)[random.integers(len(PLACES))],
        shift=(int(random.integers(-1, 2)), int(random.integers(-1, 2))),
    )


def render(scene: Scene, split: str, random: np.random.Generator) -> np.ndarray:
    """Paints a scene.

    Args:
        scene: what to show.
        split: the split that `scene.scans` counts in.
        random: source of the faint pixel noise.

    Returns:
        uint8 [32, 32, 3].
    """
    coverage_HW = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.float32)
    glyphs = _glyphs(split)[scene.digit]
    row = PLACES[scene.place] + scene.shift[0]
    column = (IMAGE_SIZE - GLYPH_SIZE * scene.count) // 2 + scene.shift[1]
    for scan in scene.scans:
        left, right = max(column, 0), min(column + GLYPH_SIZE, IMAGE_SIZE)
        coverage_HW[row : row + GLYPH_SIZE, left:right] = glyphs[scan][
            :, left - column : right - column
        ]
        column += GLYPH_SIZE
    ground = np.asarray(GROUNDS[scene.ground], np.float32)
    ink = np.asarray(INKS[scene.ink], np.float32)
    image_HWC = ground + coverage_HW[..., None] * (ink - ground)
    image_HWC += random.normal(0.0, _NOISE, image_HWC.shape[:2]).astype(np.float32)[..., None]
    return np.clip(np.rint(image_HWC), 0, 255).astype(np.uint8)


@functools.cache
def _glyphs(split: str) -> tuple[np.ndarray, ...]:
    """Scans enlarged from 8 to `GLYPH_SIZE` pixels, bilinear: float32 [scans, 10, 10] a class."""
    position = (np.arange(GLYPH_SIZE) + 0.5) * digits.SCAN_SIZE / GLYPH_SIZE - 0.5
    position = np.clip(position, 0, digits.SCAN_SIZE - 1)
    low = np.minimum(position.astype(int), digits.SCAN_SIZE - 2)
    weight = np.zeros((GLYPH_SIZE, digits.SCAN_SIZE), np.float32)
    weight[np.arange(GLYPH_SIZE), low] = 1 - (position - low)
    weight[np.arange(GLYPH_SIZE), low + 1] = position - low
    return tuple(weight @ scans @ weight.T for scans in digits.scans_by_class(split))
