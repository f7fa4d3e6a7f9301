"""Self-attention of a whole prompt, for inference: what is masked anyway is left out by blocks.

Of the pairs of positions of a prompt, which is long if it has many shots, half matter. Values are
those of `layers.attention.attend` over everything. For the short rows of training nothing was won.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from flamingo_jax.models.cache import KeysAndValues
from flamingo_jax.models.layers import relative_position
from flamingo_jax.models.layers.attention import Keys, attend_to_parts
from flamingo_jax.models.masks import text_mask

_TEXT_BLOCKS = 4
"""Blocks of queries in self-attention; n of them leave (n - 1) / 2n of the pairs out."""

_SMALLEST_TEXT_BLOCK = 64


def attend_to_text(
    content_query: jax.Array,
    position_query: jax.Array,
    text: KeysAndValues,
    relative_NSK: jax.Array,
) -> jax.Array:
    """Causal self-attention with relative positions.

    Args:
        content_query: [B, T, N, K], for the content of keys.
        position_query: [B, T, N, K], for their distances.
        text: keys and values of the same tokens.
        relative_NSK: position keys of the distances S-1 to 0, S at least T.

    Returns:
        [B, T, N, K].
    """
    T = content_query.shape[1]
    size = max(-(-T // _TEXT_BLOCKS), _SMALLEST_TEXT_BLOCK)
    outputs = []
    for start in range(0, T, size):
        stop = min(start + size, T)
        position_logits = relative_position.logits_by_key(
            position_query[:, start:stop], jnp.swapaxes(relative_NSK[:, -stop:], 0, 1)
        )
        mask = text_mask(jnp.arange(start, stop)[None], stop)
        keys = Keys(text.keys[..., :stop], text.values[:, :, :stop], mask, position_logits)
        outputs.append(attend_to_parts(content_query[:, start:stop], [keys]))
    return jnp.concatenate(outputs, axis=1)
