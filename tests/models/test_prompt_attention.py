"""Self-attention of prompts, block by block, against attention to everything."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.models import prompt_attention
from flamingo_jax.models.cache import KeysAndValues
from flamingo_jax.models.layers import relative_position
from flamingo_jax.models.layers.attention import attend
from flamingo_jax.models.masks import text_mask

B, T, N, K = 2, 11, 2, 4


def _normal(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.mark.parametrize("smallest", [1, 4, 64])
def test_text_sees_what_stands_before(monkeypatch: pytest.MonkeyPatch, smallest: int) -> None:
    monkeypatch.setattr(prompt_attention, "_SMALLEST_TEXT_BLOCK", smallest)
    content, position, keys, values = (_normal(seed, B, T, N, K) for seed in range(4))
    relative_NSK = _normal(4, N, T + 5, K)
    position_logits = relative_position.logits_by_key(
        position, jnp.swapaxes(relative_NSK[:, -T:], 0, 1)
    )
    expected = attend(content, keys, values, text_mask(jnp.arange(T)[None], T), position_logits)
    blocks = prompt_attention.attend_to_text(
        content, position, KeysAndValues.of_tokens(keys, values), relative_NSK
    )
    np.testing.assert_allclose(blocks, expected, atol=1e-6)
