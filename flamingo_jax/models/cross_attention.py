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
from flamingo_jax.models.attention_masses import Look, look
from flamingo_jax.models.cache import KeysAndValues
from flamingo_jax.models.layers.attention import (
    Keys,
    attend,
    attend_to_parts,
    attention_weights,
    merge_heads,
    project_heads,
)
from flamingo_jax.models.layers.feed_forward import FeedForward, squared_relu
from flamingo_jax.models.layers.linear import Linear
from flamingo_jax.models.layers.normalization import LayerNorm
from flamingo_jax.models.picture_attention import OwnPicture, attend_to_own_picture


class CrossAttention(hk.Module):
    """One layer; grafted layers are GATED XATTN-DENSE too."""

    def __init__(self, config: CrossAttentionConfig, name: str) -> None:
        super().__init__(name=name)
        self.config = config

    def __call__(
        self,
        x_BTD: jax.Array,
        sight: jax.Array | OwnPicture | None,
        media_BMD: jax.Array | None,
        cache: KeysAndValues | None = None,
        *,
        is_watched: bool = False,
    ) -> tuple[jax.Array, KeysAndValues | Look | None]:
        """Adds what the pictures say.

        Text without pictures gets what tokens in front of the first picture get: the feed-forward
        block alone. Attention to nothing is zero and its output has no bias, so it is left out.

        Args:
            x_BTD: language activations.
            sight: what tokens see: a mask, boolean [B, 1, T, M], see `masks.media_mask`; or, not
                with `cache`, `OwnPicture`. Tokens that see nothing get only the feed-forward block.
                None if there are no pictures.
            media_BMD: visual tokens; not read with `cache`. None without it: no pictures.
            cache: keys and values [B, N, M, K] of the visual tokens, returned by an earlier call.
            is_watched: whether to tell how the one token of each row looks; with `cache`.

        Returns:
            The new activations [B, T, D], and the keys and values for later calls; None if there
            are no pictures. If it is watched, a `Look` instead.
        """
        kept: KeysAndValues | Look | None = None
        if media_BMD is not None or cache is not None:
            assert sight is not None, "with pictures, it must be said who sees which"
            attended, seen = self._look(x_BTD, sight, media_BMD, cache, is_watched=is_watched)
            added_BTD = self._gated("attention_gate", attended)
            kept = seen if isinstance(seen, KeysAndValues) else look(seen, added_BTD, x_BTD)
            x_BTD = x_BTD + added_BTD
        if self.config.conditioning == "vanilla_xattn":
            return x_BTD, kept
        feed_forward = FeedForward(activation=squared_relu, with_bias=False, name="feed_forward")
        dense = feed_forward(LayerNorm(name="feed_forward_norm")(x_BTD))
        return x_BTD + self._gated("feed_forward_gate", dense), kept

    @hk.transparent  # Without it the layers' names would have the method's in them.
    def _look(
        self,
        x_BTD: jax.Array,
        sight: jax.Array | OwnPicture,
        media_BMD: jax.Array | None,
        cache: KeysAndValues | None,
        *,
        is_watched: bool,
    ) -> tuple[jax.Array, KeysAndValues | jax.Array]:
        """Attention to the visual tokens, without residual and gate, and their keys and values.

        If it is watched, its weights [B, N, T, M] instead of keys and values.
        """
        heads = (self.config.num_heads, self.config.head_dim)
        key, value = None, None
        if cache is None:
            assert media_BMD is not None
            media_input = LayerNorm(name="media_norm")(media_BMD)
            key = project_heads(media_input, *heads, with_bias=False, name="key")
            value = project_heads(media_input, *heads, with_bias=False, name="value")
        query_input = LayerNorm(name="query_norm")(x_BTD)
        query = project_heads(query_input, *heads, with_bias=False, name="query")
        seen: KeysAndValues | jax.Array
        if cache is not None:
            assert not isinstance(sight, OwnPicture), "a cache is seen through a mask"
            keys = Keys(cache.keys, cache.values, sight)
            attended = attend_to_parts(query, [keys])
            seen = attention_weights(query, [keys])[0] if is_watched else cache
        else:
            assert key is not None and value is not None and not is_watched
            seen = KeysAndValues.of_tokens(key, value)
            if isinstance(sight, OwnPicture):
                key, value = sight.by_picture(key), sight.by_picture(value)
                attended = attend_to_own_picture(query, key, value, sight.media_index)
            else:
                attended = attend(query, key, value, sight)
        merged = merge_heads(attended)
        return Linear(x_BTD.shape[-1], with_bias=False, name="output")(merged), seen

    def _gated(self, name: str, x: jax.Array) -> jax.Array:
        """`x` times tanh of a learned scalar that starts at 0, the tanh in float32."""
        if not self.config.tanh_gate:
            return x
        gate = hk.get_parameter(name, (), init=jnp.zeros)
        return jnp.tanh(gate.astype(jnp.float32)).astype(x.dtype) * x
