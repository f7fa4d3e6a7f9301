"""The resampler: shapes, time embeddings, and what it must not depend on."""

from __future__ import annotations

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.models.resampler import PerceiverResampler, time_embeddings
from tests.models import tiny

CONFIG = tiny.model_config().resampler

Resampler = Callable[[jax.Array], jax.Array]


@pytest.fixture(scope="module")
def resampler() -> Resampler:
    model = hk.without_apply_rng(
        hk.transform(lambda features: PerceiverResampler(CONFIG, name="resampler")(features))
    )
    params = model.init(tiny.key(), jnp.zeros((1, 1, 4, 20)))
    return lambda features: model.apply(params, features)


def features(frames: int, positions: int = 6) -> jax.Array:
    return jax.random.normal(tiny.key(3), (2, frames, positions, 20))


def test_number_of_latents_is_independent_of_frames_and_positions(resampler: Resampler) -> None:
    for frames, positions in [(1, 4), (4, 9), (7, 5)]:
        latents = resampler(features(frames, positions))
        assert latents.shape == (2, CONFIG.num_latents, CONFIG.width)


def test_positions_of_a_frame_are_a_set_but_frames_are_a_sequence(resampler: Resampler) -> None:
    x = features(3)
    shuffled = resampler(x[:, :, ::-1])
    np.testing.assert_allclose(shuffled, resampler(x), atol=1e-5)
    assert np.abs(resampler(x[:, ::-1]) - resampler(x)).max() > 1e-3


def test_examples_do_not_mix(resampler: Resampler) -> None:
    x = features(2)
    alone = resampler(x[:1])
    np.testing.assert_allclose(alone, resampler(x)[:1], atol=1e-5)


def test_time_embeddings_are_interpolated_linearly() -> None:
    model = hk.without_apply_rng(hk.transform(lambda frames: time_embeddings(frames, 4, 5)))
    params = model.init(tiny.key(), 1)
    table = params["~"]["time_embeddings"]
    np.testing.assert_array_equal(model.apply(params, 2), table[:2])
    longer = model.apply(params, 7)
    np.testing.assert_allclose(longer[::2], table, atol=1e-6)
    np.testing.assert_allclose(longer[1], (table[0] + table[1]) / 2, atol=1e-6)
