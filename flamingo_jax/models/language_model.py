"""The Chinchilla language model: a decoder with RMSNorm, Transformer-XL positions, tied embedding.

Architecture: Chinchilla (arXiv 2203.15556, section 4.1) as inherited from Gopher (arXiv 2112.11446,
section 3.1). Biases stand where the published parameter counts want them: on queries, keys, values,
the attention output and the feed-forward layers, none on the position projection.
"""

from __future__ import annotations

import haiku as hk
import jax
import jax.numpy as jnp

from flamingo_jax.config import LanguageModelConfig
from flamingo_jax.models.attention_masses import mean_over_heads
from flamingo_jax.models.cache import History, KeysAndValues, TextCache
from flamingo_jax.models.layers import relative_position
from flamingo_jax.models.layers.attention import (
    Keys,
    attend,
    attend_to_parts,
    attention_weights,
    merge_heads,
    project_heads,
)
from flamingo_jax.models.layers.feed_forward import FeedForward
from flamingo_jax.models.layers.linear import Linear
from flamingo_jax.models.layers.normalization import RMSNorm, rms_norm
from flamingo_jax.models.masks import text_mask
from flamingo_jax.models.prompt_attention import attend_to_text
from flamingo_jax.models.rematerialization import remat


class SelfAttention(hk.Module):
    """Causal self-attention with content and position terms."""

    def __init__(self, config: LanguageModelConfig, name: str) -> None:
        super().__init__(name=name)
        self.config = config

    def __call__(
        self,
        x_BTD: jax.Array,
        segment_BT: jax.Array | None = None,
        num_distances: int = 0,
        history: History | None = None,
    ) -> tuple[jax.Array, TextCache | KeysAndValues | jax.Array | None]:
        """Attends to what stands before.

        Args:
            x_BTD: inputs. Without `history` they stand at positions 0 to T-1.
            segment_BT: int32, the document of each input, see `masks.text_mask`; not with
                `num_distances` or `history`. Positions are told by their distance alone, so that a
                document in the middle of a row is what it would be at its beginning.
            num_distances: C, from T on: the inputs are prompts, and no token of an answer will
                stand further from what it sees than C-1. 0: they are not.
            history: the prompts and answers that the inputs go on with.

        Returns:
            The attention output [B, T, D], and what is to be kept: of prompts a `TextCache`, with
            `history` the answers' keys and values with the inputs' own, else None. A history that
            is watched gives the weights instead, see `attention_masses.mean_over_heads`.
        """
        continues = num_distances or history is not None
        assert not continues or segment_BT is None, "a cache is of one document"
        heads = (self.config.num_heads, self.config.head_dim)
        query = project_heads(x_BTD, *heads, with_bias=True, name="query")
        key = project_heads(x_BTD, *heads, with_bias=True, name="key")
        value = project_heads(x_BTD, *heads, with_bias=True, name="value")
        bias_shape = (heads[0] * heads[1],)
        content_bias = hk.get_parameter("content_bias", bias_shape, init=jnp.zeros)
        position_bias = hk.get_parameter("position_bias", bias_shape, init=jnp.zeros)
        content_query = query + content_bias.reshape(heads).astype(query.dtype)
        position_query = query + position_bias.reshape(heads).astype(query.dtype)
        position_query = position_query * self.config.head_dim**-0.5

        kept: TextCache | KeysAndValues | jax.Array | None = None
        if history is not None:
            attended, kept = _go_on(content_query, position_query, key, value, history)
        else:
            num_keys = x_BTD.shape[1]
            relative_CNK = self._relative_keys(max(num_distances, num_keys), x_BTD.dtype)
            if num_distances:
                text = KeysAndValues.of_tokens(key, value)
                kept = TextCache(text, jnp.swapaxes(relative_CNK, 0, 1))
                attended = attend_to_text(content_query, position_query, text, kept.relative)
            else:
                position_logits = relative_position.logits_by_key(position_query, relative_CNK)
                mask = text_mask(jnp.arange(num_keys)[None], num_keys, segment_BT)
                attended = attend(content_query, key, value, mask, position_logits)
        return Linear(x_BTD.shape[-1], name="output")(merge_heads(attended)), kept

    @hk.transparent  # Without it the layer's name would have the method's in it.
    def _relative_keys(self, num_distances: int, dtype: jnp.dtype) -> jax.Array:
        """Position keys of the distances C-1 to 0: [C, N, K]."""
        config = self.config
        encoding_CD = relative_position.sinusoid(
            jnp.arange(num_distances - 1, -1, -1),
            config.width,
            config.shortest_period,
            config.longest_period,
        ).astype(dtype)
        heads = (config.num_heads, config.head_dim)
        return project_heads(encoding_CD, *heads, with_bias=False, name="relative_position")


def _go_on(
    content_query: jax.Array,
    position_query: jax.Array,
    key_BTNK: jax.Array,
    value_BTNK: jax.Array,
    history: History,
) -> tuple[jax.Array, KeysAndValues | jax.Array]:
    """Attention of tokens of answers to the prompt and to their own answer.

    Args:
        content_query: [B, T, N, K], for the content of keys.
        position_query: [B, T, N, K], for their distances.
        key_BTNK: the tokens' own.
        value_BTNK: the tokens' own.
        history: what they go on with.

    Returns:
        What attention gives [B, T, N, K], and the answers with the tokens' own keys and values; if
        the history is watched, the weights instead.
    """
    place, (prompt, relative_NCK) = history.place, history.prompt
    own = KeysAndValues.of_tokens(key_BTNK, value_BTNK)
    answers = history.answers.updated(own, place.slot)
    num_prompt = prompt.keys.shape[-1]
    position_BT = history.length[:, None] + place.depth
    distance_BTS = position_BT[:, :, None] - jnp.arange(num_prompt)
    position_logits = relative_position.gather_to_keys(
        jnp.einsum("btnk,nck->bntc", position_query, relative_NCK),
        jnp.concatenate([distance_BTS, place.distance], axis=-1),
    )
    prompt_mask = jnp.arange(num_prompt) < history.length[:, None]
    parts = [
        Keys(
            prompt.keys,
            prompt.values,
            prompt_mask[:, None, None],
            position_logits[..., :num_prompt],
        ),
        Keys(
            answers.keys,
            answers.values,
            (place.distance >= 0)[:, None],
            position_logits[..., num_prompt:],
        ),
    ]
    attended = attend_to_parts(content_query, parts)
    if history.is_watched:
        return attended, mean_over_heads(attention_weights(content_query, parts))
    return attended, answers


class Block(hk.Module):
    """Pre-norm self-attention and feed-forward block."""

    def __init__(self, config: LanguageModelConfig, name: str) -> None:
        super().__init__(name=name)
        self.config = config

    def __call__(
        self,
        x_BTD: jax.Array,
        segment_BT: jax.Array | None = None,
        num_distances: int = 0,
        history: History | None = None,
    ) -> tuple[jax.Array, TextCache | KeysAndValues | jax.Array | None]:
        """Arguments and results as of `SelfAttention`; the output includes the residual."""
        attention = SelfAttention(self.config, name="attention")
        attended, kept = attention(
            RMSNorm(name="attention_norm")(x_BTD), segment_BT, num_distances, history
        )
        x_BTD = x_BTD + attended
        feed_forward = FeedForward(activation=jax.nn.gelu, with_bias=True, name="feed_forward")
        return x_BTD + feed_forward(RMSNorm(name="feed_forward_norm")(x_BTD)), kept


class LanguageModel(hk.Module):
    """The language model, all layers in one stack.

    Flamingo puts its own stack of the same blocks between the two ends, `embedding` and
    `normalize`, whose parameters therefore belong to this module itself.
    """

    def __init__(
        self,
        config: LanguageModelConfig,
        dtype: jnp.dtype,
        remat_policy: str = "none",
        *,
        name: str,
    ) -> None:
        super().__init__(name=name)
        self.config = config
        self.dtype = dtype
        self.remat_policy = remat_policy

    def __call__(
        self, text_BT: jax.Array, segment_BT: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Runs all layers.

        Args:
            text_BT: int32 token ids.
            segment_BT: int32, the document of each token of rows that hold several; None: a row is
                one document.

        Returns:
            The normalised activations [B, T, D] behind the last layer, and the output embedding
            [V, D]: their product (`output_logits`) predicts the next token.
        """
        embedding_VD = self.embedding()

        def block(x_BTD: jax.Array) -> jax.Array:
            return Block(self.config, name="block")(x_BTD, segment_BT=segment_BT)[0]

        stack = hk.layer_stack(self.config.num_layers, name="layers")
        x_BTD = stack(remat(block, self.remat_policy, "layer"))(embedding_VD[text_BT])
        return self.normalize(x_BTD), embedding_VD

    def embedding(self) -> jax.Array:
        """The tied input and output embedding [V, D]."""
        shape = (self.config.vocabulary_size, self.config.width)
        init = hk.initializers.TruncatedNormal(self.config.width**-0.5)
        return hk.get_parameter("embedding", shape, init=init).astype(self.dtype)

    def normalize(self, x_BTD: jax.Array) -> jax.Array:
        """The RMSNorm between the last block and the output embedding."""
        scale = hk.get_parameter("final_norm_scale", (self.config.width,), init=jnp.ones)
        return rms_norm(x_BTD, scale)


def output_logits(x_BTD: jax.Array, embedding_VD: jax.Array) -> jax.Array:
    """Products with every row of the embedding, in float32: [..., D] -> [..., V]."""
    return jnp.einsum("...d,vd->...v", x_BTD, embedding_VD).astype(jnp.float32)
