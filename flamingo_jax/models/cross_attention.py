"""The layers through which the language model looks at pictures: GATED XATTN-DENSE.

Semantics of the paper's figure 4 (v1: figure 5): attention to the visual tokens and a feed-forward
block, each scaled by the tanh of a scalar gate that starts at 0, so that at initialisation the
language model is untouched. The ablations take parts away: VANILLA XATTN the feed-forward block
(gate of the attention kept), "tanh gating off" the gates.
"""

from __future__ import annotations

import haiku as hk
import jax
import jax.numpy as jnp

from flamingo_jax.config import CrossAttentionConfig
from flamingo_jax.models.cache import KeysAndValues
from flamingo_jax.models.layers.attention import (
    Keys,
    attend,
    attend_to_parts,
    merge_heads,
    project_heads,
)
from flamingo_jax.models.layers.feed_forward import FeedForward, squared_relu
from flamingo_jax.models.layers.linear import Linear
from flamingo_jax.models.layers.normalization import LayerNorm
from flamingo_jax.models.prompt_attention import attend_to_media


class CrossAttention(hk.Module):
    """One layer; grafted layers are GATED XATTN-DENSE too."""

    def __init__(self, config: CrossAttentionConfig, name: str) -> None:
        super().__init__(name=name)
        self.config = config

    def __call__(
        self,
        x_BTD: jax.Array,
        mask: jax.Array | None,
        media_BMD: jax.Array | None,
        cache: KeysAndValues | None = None,
        *,
        prompt_latents: int = 0,
    ) -> tuple[jax.Array, KeysAndValues | None]:
        """Adds what the pictures say.

        Text without pictures gets what tokens in front of the first picture get: the feed-forward
        block alone. Attention to nothing is zero and its output has no bias, so it is left out.

        Args:
            x_BTD: language activations.
            mask: boolean [B, 1, T, M], see `masks.media_mask`. Tokens that see nothing get only the
                feed-forward block. None if there are no pictures.
            media_BMD: visual tokens; not read with `cache`. None without it: no pictures.
            cache: keys and values [B, N, M, K] of the visual tokens, returned by an earlier call.
            prompt_latents: visual tokens of a picture, if the inputs are prompts and no gradient
                is wanted; else 0.

        Returns:
            The new activations [B, T, D], and the keys and values for later calls; None if there
            are no pictures.
        """
        if media_BMD is not None or cache is not None:
            assert mask is not None, "with pictures, there must be a mask"
            attended, cache = self._look(x_BTD, mask, media_BMD, cache, prompt_latents)
            x_BTD = x_BTD + self._gated("attention_gate", attended)
        if self.config.conditioning == "vanilla_xattn":
            return x_BTD, cache
        feed_forward = FeedForward(activation=squared_relu, with_bias=False, name="feed_forward")
        dense = feed_forward(LayerNorm(name="feed_forward_norm")(x_BTD))
        return x_BTD + self._gated("feed_forward_gate", dense), cache

    @hk.transparent  # Without it the layers' names would have the method's in them.
    def _look(
        self,
        x_BTD: jax.Array,
        mask: jax.Array,
        media_BMD: jax.Array | None,
        cache: KeysAndValues | None,
        prompt_latents: int,
    ) -> tuple[jax.Array, KeysAndValues]:
        """Attention to the visual tokens, without residual and gate, and their keys and values."""
        heads = (self.config.num_heads, self.config.head_dim)
        key, value = None, None
        if cache is None:
            assert media_BMD is not None
            media_input = LayerNorm(name="media_norm")(media_BMD)
            key = project_heads(media_input, *heads, with_bias=False, name="key")
            value = project_heads(media_input, *heads, with_bias=False, name="value")
        query_input = LayerNorm(name="query_norm")(x_BTD)
        query = project_heads(query_input, *heads, with_bias=False, name="query")
        if cache is not None:
            attended = attend_to_parts(query, [Keys(cache.keys, cache.values, mask)])
        else:
            assert key is not None and value is not None
            cache = KeysAndValues(jnp.swapaxes(key, 1, 2), jnp.swapaxes(value, 1, 2))
            if prompt_latents:
                attended = attend_to_media(query, cache, mask, prompt_latents)
            else:
                attended = attend(query, key, value, mask)
        merged = merge_heads(attended)
        return Linear(x_BTD.shape[-1], with_bias=False, name="output")(merged), cache

    def _gated(self, name: str, x: jax.Array) -> jax.Array:
        """`x` times tanh of a learned scalar that starts at 0, the tanh in float32."""
        if not self.config.tanh_gate:
            return x
        gate = hk.get_parameter(name, (), init=jnp.zeros)
        return jnp.tanh(gate.astype(jnp.float32)).astype(x.dtype) * x
