"""RICES: pooled features and the order of what is chosen."""

from __future__ import annotations

import numpy as np

from flamingo_jax.evaluation import rices


def test_nearest_stands_last() -> None:
    similarity = np.array([0.1, 0.9, -0.5, 0.7, 0.3])
    assert rices.nearest(similarity, range(5), 3) == [4, 3, 1]
    assert rices.nearest(similarity, range(5), 5) == [2, 0, 4, 3, 1]


def test_only_the_given_rows_are_chosen_from() -> None:
    similarity = np.array([0.1, 0.9, -0.5, 0.7, 0.3])
    assert rices.nearest(similarity, np.array([4, 0, 2]), 2) == [0, 4]


def test_of_equals_the_lower_row_is_nearer() -> None:
    assert rices.nearest(np.array([0.5, 0.7, 0.5, 0.7]), range(4), 3) == [0, 3, 1]


def test_features_are_averaged_over_frames_and_places() -> None:
    features = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    pooled = rices.pool(features)
    expected = np.stack([clip.reshape(12, 5).mean(0) for clip in features])
    expected /= np.sqrt((expected**2).sum(-1, keepdims=True))
    np.testing.assert_allclose(pooled, expected, rtol=1e-5)
    np.testing.assert_array_equal(rices.pool(np.zeros((1, 1, 2, 3))), np.zeros((1, 3)))


def test_cosine_does_not_see_brightness() -> None:
    features = np.random.default_rng(1).normal(size=(1, 1, 4, 5))
    np.testing.assert_allclose(rices.pool(features), rices.pool(7.0 * features), rtol=1e-5)
