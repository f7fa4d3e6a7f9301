"""Random flip and colour."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from PIL import Image

from flamingo_jax.config import AugmentationConfig
from flamingo_jax.data import seeds
from flamingo_jax.data.ops.augment import augment, channel_table, colour_matrix

ALL = AugmentationConfig(
    flip_probability=0.5, brightness=0.2, contrast=0.3, saturation=0.3, hue=0.05
)


def frames(num_frames: int = 1, height: int = 12, width: int = 16) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(60, 190, (num_frames, height, width, 3), np.uint8)


def generator(number: int) -> np.random.Generator:
    return seeds.generator(0, "augmentation", "train", number)


def applied(matrix: np.ndarray, rgb: object) -> np.ndarray:
    return matrix[:, :3] @ np.asarray(rgb, float) + matrix[:, 3]


def test_nothing_drawn_is_the_same_array() -> None:
    pictures = frames()
    assert augment(pictures, AugmentationConfig(), generator(0)) is pictures
    flips = AugmentationConfig(flip_probability=0.5)
    unflipped = [augment(pictures, flips, generator(n)) is pictures for n in range(200)]
    assert 70 < sum(unflipped) < 130


def test_the_argument_is_not_written_to() -> None:
    pictures = frames()
    before = pictures.copy()
    pictures.flags.writeable = False
    augment(pictures, ALL, generator(0))
    assert (pictures == before).all()


def test_a_flip_is_left_to_right_and_exact() -> None:
    pictures = frames(num_frames=3)
    flipped = augment(pictures, AugmentationConfig(flip_probability=1.0), generator(0))
    assert (flipped == pictures[:, :, ::-1]).all()


def test_all_frames_of_a_clip_change_alike() -> None:
    still = np.repeat(frames(), 5, axis=0)
    for number in range(20):
        changed = augment(still, ALL, generator(number))
        assert changed.shape == still.shape and changed.dtype == np.uint8
        assert (changed == changed[:1]).all()


def test_every_picture_has_its_own_draw_which_follows_from_its_generator() -> None:
    pictures = frames()
    results = [augment(pictures, ALL, generator(number)) for number in range(10)]
    again = [augment(pictures, ALL, generator(number)) for number in range(10)]
    assert all((a == b).all() for a, b in zip(results, again, strict=True))
    assert len({result.tobytes() for result in results}) == 10


def test_one_change_does_not_alter_what_is_drawn_for_another() -> None:
    pictures = frames()
    flip = AugmentationConfig(flip_probability=0.5)
    both = AugmentationConfig(flip_probability=0.5, hue=1e-9)
    for number in range(20):
        alone = augment(pictures, flip, generator(number))
        assert (alone == augment(pictures, both, generator(number))).all()


@pytest.mark.parametrize("amount", [-0.5, -0.1, 0.1, 0.5])
def test_each_change_is_its_formula(amount: float) -> None:
    rgb = np.asarray((200.0, 120.0, 40.0))
    grey = rgb @ (0.299, 0.587, 0.114)
    assert applied(colour_matrix(amount, 0, 0, 0), rgb) == pytest.approx(rgb + 255 * amount)
    assert applied(colour_matrix(0, amount, 0, 0), rgb) == pytest.approx(
        127.5 + (1 + amount) * (rgb - 127.5)
    )
    assert applied(colour_matrix(0, 0, amount, 0), rgb) == pytest.approx(
        grey + (1 + amount) * (rgb - grey)
    )


def test_changes_follow_each_other_in_the_order_of_the_arguments() -> None:
    together = colour_matrix(0.1, -0.2, 0.3, 0.1)
    rgb = np.asarray((150.0, 100.0, 90.0))
    for single in ((0.1, 0, 0, 0), (0, -0.2, 0, 0), (0, 0, 0.3, 0), (0, 0, 0, 0.1)):
        rgb = applied(colour_matrix(*single), rgb)
    assert applied(together, (150, 100, 90)) == pytest.approx(rgb)


@pytest.mark.parametrize("turn", [-0.25, -0.1, 0.1, 1 / 3, 0.5])
def test_hue_turns_the_colour_circle_and_leaves_grey_and_luma(turn: float) -> None:
    matrix = colour_matrix(0, 0, 0, turn)
    assert applied(matrix, (90, 90, 90)) == pytest.approx((90, 90, 90), abs=1e-6)
    before = np.asarray((160.0, 110.0, 100.0))
    after = applied(matrix, before)
    luma = (0.299, 0.587, 0.114)
    assert after @ luma == pytest.approx(before @ luma, abs=0.1)
    # YIQ and HSV circles agree to within some degrees.
    hues = [colorsys.rgb_to_hsv(*(rgb / 255))[0] for rgb in (before, after)]
    moved = (hues[1] - hues[0] - turn + 0.5) % 1 - 0.5
    assert abs(moved) < 0.08


def test_a_picture_gets_the_map_of_its_draw_rounded_and_clipped() -> None:
    pictures = frames()
    config = AugmentationConfig(brightness=0.8, contrast=0.9, saturation=0.7, hue=0.5)
    for number in range(20):
        draws = 2 * generator(number).random(5)[1:] - 1
        matrix = colour_matrix(*(draws * (0.8, 0.9, 0.7, 0.5)))
        exact = pictures.astype(float) @ matrix[:, :3].T + matrix[:, 3]
        found = augment(pictures, config, generator(number)).astype(float)
        assert np.abs(found - exact.clip(0, 255)).max() <= 0.51


def test_draws_fill_their_range_evenly() -> None:
    grey = np.full((1, 1, 1, 3), 128, np.uint8)
    config = AugmentationConfig(brightness=0.2)
    values = [int(augment(grey, config, generator(n))[0, 0, 0, 0]) - 128 for n in range(400)]
    assert -51 <= min(values) < -45 and 45 < max(values) <= 51
    assert abs(np.mean(values)) < 4


@pytest.mark.parametrize(("brightness", "contrast"), [(0.1, 0.0), (0.0, -0.4), (-0.3, 0.9)])
def test_a_table_does_what_the_matrix_does(brightness: float, contrast: float) -> None:
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    )
    matrix = colour_matrix(brightness, contrast, 0.0, 0.0)
    by_matrix = np.asarray(picture.convert("RGB", tuple(matrix.ravel().tolist())))
    by_table = np.asarray(picture.point(channel_table(matrix[0, 0], matrix[0, 3]) * 3))
    # The matrix is applied in float32: a value at a half may go either way.
    assert np.abs(by_matrix.astype(int) - by_table).max() <= 1
    assert (by_matrix == by_table).mean() > 0.99
