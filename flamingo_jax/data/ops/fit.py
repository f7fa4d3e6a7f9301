"""Pictures of any shape into a square: the aspect ratio kept, the rest filled (paper, section 3).

The paper resizes to 320 x 320, "padding with the mean value".
"""

from __future__ import annotations

import functools

import numpy as np

MEAN_COLOUR = (124, 116, 104)
"""R, G, B of the padding: the mean that encoders of ImageNet subtract, so that it becomes about 0.

CLIP's mean is (123, 117, 104), which is the same to within a level or two.
"""


def fitted_size(width: float, height: float, size: int) -> tuple[int, int]:
    """Width and height of a picture whose longer side is `size` pixels, each at least 1.

    Args:
        width: of the picture, in any unit.
        height: in the same unit.
        size: of the square, in pixels.
    """
    scale = size / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def pad_to_square(picture_HWC: np.ndarray, size: int) -> np.ndarray:
    """Puts a picture into the middle of a square of `MEAN_COLOUR`.

    Args:
        picture_HWC: uint8 [H, W, 3], neither side longer than `size`.
        size: of the square, in pixels.

    Returns:
        uint8 [size, size, 3]; the picture itself if it fills the square.
    """
    height, width, _ = picture_HWC.shape
    if (height, width) == (size, size):
        return picture_HWC
    square = _mean_square(size).copy()
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = picture_HWC
    return square


@functools.lru_cache(maxsize=8)
def _mean_square(size: int) -> np.ndarray:
    # Kept because a copy takes a tenth of the time of writing the colour pixel by pixel.
    square = np.full((size, size, 3), MEAN_COLOUR, np.uint8)
    square.flags.writeable = False
    return square
