"""Attention of prompts, block by block, against attention to everything."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.models import prompt_attention
from flamingo_jax.models.cache import KeysAndValues
from flamingo_jax.models.layers import relative_position
from flamingo_jax.models.layers.attention import attend
from flamingo_jax.models.masks import media_mask, text_mask

B, T, N, K, R = 2, 11, 2, 4, 3


def _normal(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def _heads_first(keys: jax.Array, values: jax.Array) -> KeysAndValues:
    return KeysAndValues(jnp.swapaxes(keys, 1, 2), jnp.swapaxes(values, 1, 2))


@pytest.mark.parametrize("smallest", [1, 4, 64])
def test_text_sees_what_stands_before(monkeypatch: pytest.MonkeyPatch, smallest: int) -> None:
    monkeypatch.setattr(prompt_attention, "_SMALLEST_TEXT_BLOCK", smallest)
    content, position, keys, values = (_normal(seed, B, T, N, K) for seed in range(4))
    relative_NSK = _normal(4, N, T + 5, K)
    position_logits = relative_position.shift_to_keys(
        jnp.einsum("btnk,nsk->bnts", position, relative_NSK[:, -T:])
    )
    expected = attend(content, keys, values, text_mask(jnp.arange(T)[None], T), position_logits)
    blocks = prompt_attention.attend_to_text(
        content, position, _heads_first(keys, values), relative_NSK
    )
    np.testing.assert_allclose(blocks, expected, atol=1e-6)


PHI = {
    "a few tokens a picture": [0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 5],
    "padding behind": [1, 2, 2, 3, 4, 5, 6, 6, 0, 0, 0],
    "more than fits in": [1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8],
    "no picture": [0] * T,
}


@pytest.mark.parametrize("all_previous", [False, True])
@pytest.mark.parametrize("name", PHI)
def test_text_sees_its_picture(
    monkeypatch: pytest.MonkeyPatch, name: str, all_previous: bool
) -> None:
    monkeypatch.setattr(prompt_attention, "_MEDIA_BLOCK", 2)
    num_media = 8
    phi = jnp.asarray([PHI[name], PHI["a few tokens a picture"]])
    mask = media_mask(phi, num_media, R, all_previous=all_previous)
    query = _normal(0, B, T, N, K)
    keys, values = (_normal(seed, B, num_media * R, N, K) for seed in (1, 2))
    expected = attend(query, keys, values, mask)
    found = jax.jit(prompt_attention.attend_to_media, static_argnums=3)(
        query, _heads_first(keys, values), mask, R
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_window_is_all_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is outside the windows may be anything: it is not multiplied with 0."""
    monkeypatch.setattr(prompt_attention, "_MEDIA_BLOCK", 2)
    phi = jnp.full((1, T), 3)
    mask = media_mask(phi, 8, R)
    keys = _normal(1, 1, 8 * R, N, K).at[:, 6 * R :].set(jnp.nan)
    found = prompt_attention.attend_to_media(
        _normal(0, 1, T, N, K), _heads_first(keys, keys), mask, R
    )
    assert np.isfinite(found).all()
