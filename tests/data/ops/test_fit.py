"""Pictures in squares."""

from __future__ import annotations

import numpy as np
import pytest

from flamingo_jax.data.ops import fit
from flamingo_jax.models.vision import pixels


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (640, 480, (320, 240)),
        (480, 640, (240, 320)),
        (500, 375, (320, 240)),
        (100, 100, (320, 320)),
        (20, 10, (320, 160)),
        (10_000, 1, (320, 1)),
        (1, 10_000, (1, 320)),
    ],
)
def test_the_longer_side_fills_the_square_and_the_aspect_ratio_stays(
    width: int, height: int, expected: tuple[int, int]
) -> None:
    assert fit.fitted_size(width, height, 320) == expected


@pytest.mark.parametrize(("height", "width"), [(3, 8), (8, 3), (8, 7), (1, 8), (8, 8)])
def test_a_picture_lies_in_the_middle_of_the_mean_colour(height: int, width: int) -> None:
    picture = np.full((height, width, 3), 200, np.uint8)
    square = fit.pad_to_square(picture, 8)
    assert square.shape == (8, 8, 3) and square.dtype == np.uint8
    is_picture = (square == 200).all(-1)
    assert is_picture.sum() == height * width
    assert (square[~is_picture] == fit.MEAN_COLOUR).all()
    rows, columns = np.nonzero(is_picture.any(1))[0], np.nonzero(is_picture.any(0))[0]
    assert abs(rows[0] - (7 - rows[-1])) <= 1
    assert abs(columns[0] - (7 - columns[-1])) <= 1


@pytest.mark.parametrize("statistics", [pixels.IMAGENET, pixels.CLIP])
def test_padding_is_about_zero_for_the_encoders(statistics: pixels.PixelStatistics) -> None:
    padding = np.asarray(fit.MEAN_COLOUR, np.uint8)
    assert np.abs(np.asarray(pixels.normalize_pixels(padding, statistics))).max() < 0.02
