"""GATED XATTN-DENSE: the layers through which the language model looks at pictures.

Semantics of the paper's figure 4 (v1: figure 5): attention to the visual tokens and a feed-forward
block, each scaled by the tanh of a scalar gate that starts at 0, so that at initialisation the
language model is untouched.
"""

from __future__ import annotations

import haiku as hk
import jax
import jax.numpy as jnp

from flamingo_jax.config import CrossAttentionConfig
from flamingo_jax.models.language_model import KeysAndValues
from flamingo_jax.models.layers.attention import attend, merge_heads, project_heads
from flamingo_jax.models.layers.feed_forward import FeedForward, squared_relu
from flamingo_jax.models.layers.linear import Linear
from flamingo_jax.models.layers.normalization import LayerNorm


class GatedCrossAttention(hk.Module):
    """One GATED XATTN-DENSE layer."""

    def __init__(self, config: CrossAttentionConfig, name: str) -> None:
        super().__init__(name=name)
        self.config = config

    def __call__(
        self,
        x_BTD: jax.Array,
        mask: jax.Array,
        media_BMD: jax.Array | None,
        cache: KeysAndValues | None = None,
    ) -> tuple[jax.Array, KeysAndValues]:
        """Adds what the pictures say.

        Args:
            x_BTD: language activations.
            mask: boolean [B, 1, T, M], see `masks.media_mask`. Tokens that see nothing get only the
                feed-forward block.
            media_BMD: visual tokens; needed without `cache`, not read with it.
            cache: keys and values [B, M, N, K] of the visual tokens, returned by an earlier call.

        Returns:
            The new activations [B, T, D], and the keys and values for later calls.
        """
        heads = (self.config.num_heads, self.config.head_dim)
        if cache is None:
            assert media_BMD is not None, "without a cache, the visual tokens must be given"
            media_input = LayerNorm(name="media_norm")(media_BMD)
            key = project_heads(media_input, *heads, with_bias=False, name="key")
            value = project_heads(media_input, *heads, with_bias=False, name="value")
            cache = KeysAndValues(key, value)
        query_input = LayerNorm(name="query_norm")(x_BTD)
        query = project_heads(query_input, *heads, with_bias=False, name="query")
        attended = merge_heads(attend(query, cache.keys, cache.values, mask))
        attended = Linear(x_BTD.shape[-1], with_bias=False, name="output")(attended)
        x_BTD = x_BTD + _gate("attention_gate", x_BTD.dtype) * attended
        feed_forward = FeedForward(activation=squared_relu, with_bias=False, name="feed_forward")
        dense = feed_forward(LayerNorm(name="feed_forward_norm")(x_BTD))
        return x_BTD + _gate("feed_forward_gate", x_BTD.dtype) * dense, cache


def _gate(name: str, dtype: jnp.dtype) -> jax.Array:
    """tanh of a learned scalar that starts at 0, computed in float32."""
    gate = hk.get_parameter(name, (), init=jnp.zeros)
    return jnp.tanh(gate.astype(jnp.float32)).astype(dtype)
