"""BERT, the text tower of the contrastive stage.

Devlin et al. 2018; Flamingo, appendix B.1.3 (the architecture is named there, its size is not; the
ablations use BERT-mini: 4 layers, width 256, 4 heads). Differences from the original: one kind of
segment, hence no segment embedding, and no dropout.

Parameter paths, with `text_tower` as the module's name:

    text_tower/{token_embedding,position_embedding}
    text_tower/embedding_norm/{scale,offset}
    text_tower/layers/block/attention/{query,key,value,output}/{w,b}   leading layer axis
    text_tower/layers/block/feed_forward/{hidden,output}/{w,b}         leading layer axis
    text_tower/layers/block/{attention,feed_forward}_norm/{scale,offset}  leading layer axis

Shape letters: B batch, T text, D width, N heads, K head dim.
"""

from __future__ import annotations

import functools

import haiku as hk
import jax
import jax.numpy as jnp

from flamingo_jax.config import TextTowerConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import schema
from flamingo_jax.models.layers.attention import attend, merge_heads
from flamingo_jax.models.layers.feed_forward import WIDENING
from flamingo_jax.models.layers.linear import Linear
from flamingo_jax.models.layers.normalization import LayerNorm

INITIAL_STD = 0.02
"""Standard deviation of the truncated normal that all matrices and embeddings start from."""

_w_init = hk.initializers.TruncatedNormal(INITIAL_STD)
_Linear = functools.partial(Linear, w_init=_w_init)


class SelfAttention(hk.Module):
    """Bidirectional multi-head attention with biases."""

    def __init__(self, num_heads: int, *, name: str) -> None:
        """Holds the number of heads, which divides the width."""
        super().__init__(name=name)
        self._num_heads = num_heads

    def __call__(self, x_BTD: jax.Array, is_real_BT: jax.Array) -> jax.Array:
        """Maps [B, T, D] to [B, T, D]; keys with `is_real_BT` False are seen by nobody."""
        B, T, D = x_BTD.shape
        heads = (B, T, self._num_heads, D // self._num_heads)
        query, key, value = (
            jnp.reshape(_Linear(D, name=name)(x_BTD), heads) for name in ("query", "key", "value")
        )
        attended = attend(query, key, value, is_real_BT[:, None, None, :])
        return _Linear(D, name="output")(merge_heads(attended))


class FeedForward(hk.Module):
    """Two linear layers around the exact (erf) GELU, hidden width 4D."""

    def __call__(self, x_BTD: jax.Array) -> jax.Array:
        """Maps [B, T, D] to [B, T, D]."""
        width = x_BTD.shape[-1]
        hidden = _Linear(WIDENING * width, name="hidden")(x_BTD)
        return _Linear(width, name="output")(jax.nn.gelu(hidden, approximate=False))


class Block(hk.Module):
    """Attention and feed-forward, each followed by a norm of the sum with its input (post-norm)."""

    def __init__(self, num_heads: int, *, name: str) -> None:
        """Holds the number of heads."""
        super().__init__(name=name)
        self._num_heads = num_heads

    def __call__(self, x_BTD: jax.Array, is_real_BT: jax.Array) -> jax.Array:
        """Maps [B, T, D] to [B, T, D] in the same dtype."""
        attended = SelfAttention(self._num_heads, name="attention")(x_BTD, is_real_BT)
        x_BTD = LayerNorm(name="attention_norm")(x_BTD + attended)
        return LayerNorm(name="feed_forward_norm")(x_BTD + FeedForward(name="feed_forward")(x_BTD))


class BertEncoder(hk.Module):
    """Token ids to one vector for each text.

    Example, inside `hk.transform`:

        pooled_BD = BertEncoder(config.text_tower, jnp.float32, name="text_tower")(text_BT)
    """

    def __init__(self, config: TextTowerConfig, dtype: jnp.dtype, name: str) -> None:
        """Makes the encoder.

        Args:
            config: its sizes.
            dtype: of the activations; parameters are made in float32.
            name: `text_tower`.

        Raises:
            UserError: the heads do not divide the width.
        """
        super().__init__(name=name)
        if config.width % config.num_heads:
            raise UserError(
                f"text_tower.num_heads is {config.num_heads}: expected a divisor of"
                f" text_tower.width, {config.width}"
            )
        self._config = config
        self._dtype = dtype

    def __call__(self, text_BT: jax.Array) -> jax.Array:
        """Encodes texts.

        Args:
            text_BT: int32 [B, T] token ids, `schema.PAD_ID` where there is none; padding changes
                nothing. T is at most `max_length`. Ids are in [0, vocabulary_size).

        Returns:
            float32 [B, D], the mean of the last layer over real tokens; zeros without any.

        Raises:
            UserError: T exceeds `max_length`.
        """
        config = self._config
        length = text_BT.shape[1]
        if length > config.max_length:
            raise UserError(
                f"texts have {length} tokens and text_tower.max_length is {config.max_length}:"
                " expected max_text_length of the datasets to be at most text_tower.max_length"
            )
        is_real_BT = text_BT != schema.PAD_ID
        token_VD = hk.get_parameter(
            "token_embedding", (config.vocabulary_size, config.width), init=_w_init
        )
        position_TD = hk.get_parameter(
            "position_embedding", (config.max_length, config.width), init=_w_init
        )
        x_BTD = (token_VD[text_BT] + position_TD[:length]).astype(self._dtype)
        x_BTD = LayerNorm(name="embedding_norm")(x_BTD)
        stack = hk.layer_stack(config.num_layers, name="layers")
        x_BTD = stack(lambda x: Block(config.num_heads, name="block")(x, is_real_BT))(x_BTD)
        weight_BT1 = is_real_BT[..., None].astype(jnp.float32)
        total_BD = jnp.sum(x_BTD.astype(jnp.float32) * weight_BT1, axis=1)
        return total_BD / jnp.maximum(jnp.sum(weight_BT1, axis=1), 1.0)
