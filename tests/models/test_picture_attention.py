"""Attention of each token to its own picture, against attention to all of them behind a mask."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.models import picture_attention
from flamingo_jax.models.layers.attention import attend
from flamingo_jax.models.masks import media_mask
from flamingo_jax.models.picture_attention import OwnPicture, attend_to_own_picture

T, I, R, N, K = 11, 8, 3, 2, 4

PHI = {
    "a few tokens a picture": [0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 5],
    "padding behind": [1, 2, 2, 3, 4, 5, 6, 6, 0, 0, 0],
    "every token another": [1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8],
    "some are left out": [2, 2, 2, 2, 2, 2, 7, 7, 7, 7, 7],
    "zeros between": [1, 1, 0, 0, 2, 0, 3, 3, 0, 8, 8],
    "above all pictures": [1, 1, 2, 5, 8, 8, 9, 9, 9, 20, 20],
    "no picture": [0] * T,
}


def _normal(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def _by_picture(x_BMNK: jax.Array) -> jax.Array:
    return OwnPicture(jnp.zeros((1, 1), jnp.int32), R).by_picture(x_BMNK)


@pytest.mark.parametrize("block", [1, 2, 4, 32])
def test_values_and_gradients_are_those_of_a_mask(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(picture_attention, "_BLOCK", block)
    phi = jnp.asarray(list(PHI.values()))
    B = len(phi)
    query, weight = (_normal(seed, B, T, N, K) for seed in (0, 3))
    key, value = (_normal(seed, B, I * R, N, K) for seed in (1, 2))

    def masked(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
        return attend(query, key, value, media_mask(phi, I, R))

    def paired(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
        return attend_to_own_picture(query, _by_picture(key), _by_picture(value), phi)

    expected, pull_expected = jax.vjp(masked, query, key, value)
    found, pull_found = jax.vjp(jax.jit(paired), query, key, value)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    for name, some, others in zip(
        ("query", "key", "value"), pull_found(weight), pull_expected(weight), strict=True
    ):
        np.testing.assert_allclose(some, others, atol=1e-6, err_msg=name)


def test_other_pictures_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no token of a row sees may be anything: it is not multiplied with 0."""
    monkeypatch.setattr(picture_attention, "_BLOCK", 2)
    key = _normal(1, 1, I * R, N, K).at[:, 4 * R :].set(jnp.nan)
    phi = jnp.asarray([[1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4]])
    found = attend_to_own_picture(
        _normal(0, 1, T, N, K), _by_picture(key), _by_picture(key), phi
    )
    assert np.isfinite(found).all()


def test_too_many_pairs_are_not_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """More pairs than there is room for must not go unnoticed."""
    monkeypatch.setattr(picture_attention, "_BLOCK", 2)
    phi = jnp.asarray([[1, 8] * 5 + [1], PHI["zeros between"]])
    key = _normal(1, 2, I * R, N, K)
    found = attend_to_own_picture(
        _normal(0, 2, T, N, K), _by_picture(key), _by_picture(key), phi
    )
    assert np.isnan(found[0]).any()
    assert np.isfinite(found[1]).all()
