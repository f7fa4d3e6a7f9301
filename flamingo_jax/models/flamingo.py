"""The Flamingo decoder: language-model blocks in groups, cross-attention before each group.

A group is one GATED XATTN-DENSE layer and the `every` frozen blocks behind it. Groups form one
stack, the blocks of a group another inside it; blocks that are left over (80 = 11*7 + 3) form a
last, shorter group.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp

from flamingo_jax.config import CrossAttentionConfig, LanguageModelConfig
from flamingo_jax.models.cross_attention import GatedCrossAttention
from flamingo_jax.models.language_model import (
    Block,
    KeysAndValues,
    LanguageModel,
    output_logits,
)
from flamingo_jax.models.layers.linear import Linear
from flamingo_jax.models.masks import media_mask


class GroupCache(NamedTuple):
    """What decoding keeps of a stack of G groups.

    Attributes:
        text: keys and values of the language model, [G, L, B, S, N, K].
        media: keys and values of the visual tokens, [G, 1, B, M, N, K].
    """

    text: KeysAndValues
    media: KeysAndValues


# The groups of a decoder in order: full groups, then the shorter last one if there is one.
Cache = tuple[GroupCache, ...]
_CACHE_BATCH_AXIS = 2
_CACHE_TEXT_AXIS = 3


def map_rows(function: Callable[[jax.Array], jax.Array], cache: Cache) -> Cache:
    """Applies a function to every array of a cache, batch axis first: re-orders or repeats rows."""

    def apply(leaf: jax.Array) -> jax.Array:
        batch_first = jnp.moveaxis(leaf, _CACHE_BATCH_AXIS, 0)
        return jnp.moveaxis(function(batch_first), 0, _CACHE_BATCH_AXIS)

    return jax.tree.map(apply, cache)


def extend_text(cache: Cache, length: int) -> Cache:
    """Makes room for text of `length` positions, S <= `length`; new slots are zeros."""

    def extend(leaf: jax.Array) -> jax.Array:
        missing = length - leaf.shape[_CACHE_TEXT_AXIS]
        widths = [(0, missing if axis == _CACHE_TEXT_AXIS else 0) for axis in range(leaf.ndim)]
        return jnp.pad(leaf, widths)

    return tuple(part._replace(text=jax.tree.map(extend, part.text)) for part in cache)


def group_sizes(num_layers: int, every: int) -> tuple[tuple[str, int, int], ...]:
    """Stacks of the decoder as (name, number of groups G, blocks of a group L)."""
    full, rest = divmod(num_layers, every)
    stacks = [("groups", full, every)] if full else []
    if rest:
        stacks.append(("last_group", 1, rest))
    return tuple(stacks)


class FlamingoDecoder:
    """Text with pictures in, logits of the next token out; to be called within `hk.transform`.

    It is no module itself, so that parameter paths start with the component they belong to:
    `language_model`, `extra_embeddings`, `media_projection`, `groups`, `last_group`.
    """

    def __init__(
        self,
        language_model: LanguageModelConfig,
        cross_attention: CrossAttentionConfig,
        num_latents: int,
        dtype: jnp.dtype,
    ) -> None:
        self.language_model = language_model
        self.cross_attention = cross_attention
        self.num_latents = num_latents
        self.dtype = dtype

    def __call__(
        self,
        text_BT: jax.Array,
        media_index_BT: jax.Array,
        latents_BIRD: jax.Array | None = None,
        position_BT: jax.Array | None = None,
        cache: Cache | None = None,
    ) -> tuple[jax.Array, Cache]:
        """Runs all layers.

        Args:
            text_BT: token ids; V is `<EOC>`.
            media_index_BT: phi.
            latents_BIRD: visual tokens of the pictures; needed without `cache`, not read with it.
            position_BT: positions of the tokens; given exactly when `cache` is.
            cache: of an earlier call, with room for the tokens.

        Returns:
            Logits float32 [B, T, V+1], and the cache: without `cache`, the keys and values of just
            these tokens and pictures.
        """
        model = LanguageModel(self.language_model, self.dtype, name="language_model")
        embedding_VD = model.embedding()
        extra = ExtraEmbeddings(self.language_model.width, name="extra_embeddings")
        extra_ED = extra().astype(self.dtype)
        x_BTD = jnp.concatenate([embedding_VD, extra_ED])[text_BT]
        media_BMD = None
        if cache is None:
            assert latents_BIRD is not None, "without a cache, the latents must be given"
            media_BMD = self._project_media(latents_BIRD)
            num_media = latents_BIRD.shape[1]
        else:
            num_media = cache[0].media.keys.shape[3] // self.num_latents
        mask = media_mask(media_index_BT, num_media, self.num_latents)

        new_cache = []
        sizes = group_sizes(self.language_model.num_layers, self.cross_attention.every)
        for index, (name, num_groups, num_blocks) in enumerate(sizes):
            stack = hk.layer_stack(num_groups, with_per_layer_inputs=True, name=name)
            inputs = () if cache is None else (cache[index],)
            group = self._group_function(num_blocks, mask, media_BMD, position_BT)
            x_BTD, group_cache = stack(group)(x_BTD, *inputs)
            new_cache.append(group_cache)
        x_BTD = model.normalize(x_BTD)
        # Two products, so that the vocabulary's logits are those of the language model bit for bit.
        logits = [output_logits(x_BTD, rows) for rows in (embedding_VD, extra_ED)]
        return jnp.concatenate(logits, axis=-1), tuple(new_cache)

    def _group_function(
        self,
        num_blocks: int,
        mask: jax.Array,
        media_BMD: jax.Array | None,
        position_BT: jax.Array | None,
    ) -> Callable[..., tuple[jax.Array, GroupCache]]:
        """The function of one group, for `hk.layer_stack`: (x[, cache]) -> (x, cache)."""

        def block(x_BTD: jax.Array, *cache: KeysAndValues) -> tuple[jax.Array, KeysAndValues]:
            return Block(self.language_model, name="block")(x_BTD, position_BT, *cache)

        def group(x_BTD: jax.Array, *cache: GroupCache) -> tuple[jax.Array, GroupCache]:
            text_inputs = tuple(part.text for part in cache)
            media_cache = jax.tree.map(lambda leaf: leaf[0], cache[0].media) if cache else None
            layer = GatedCrossAttention(self.cross_attention, name="cross_attention")
            x_BTD, media = layer(x_BTD, mask, media_BMD, media_cache)
            stack = hk.layer_stack(num_blocks, with_per_layer_inputs=True, name="language_model")
            x_BTD, text = stack(block)(x_BTD, *text_inputs)
            return x_BTD, GroupCache(text, jax.tree.map(lambda leaf: leaf[None], media))

        return group

    def _project_media(self, latents_BIRD: jax.Array) -> jax.Array:
        """Visual tokens of all pictures in a row, at the language model's width: [B, I*R, D]."""
        B, I, R, _ = latents_BIRD.shape
        media_BMD = jnp.reshape(latents_BIRD, (B, I * R, latents_BIRD.shape[-1]))
        return Linear(self.language_model.width, with_bias=False, name="media_projection")(
            media_BMD
        )


class ExtraEmbeddings(hk.Module):
    """Rows that are learned although the language model is frozen: `<EOC>`."""

    def __init__(self, width: int, name: str) -> None:
        super().__init__(name=name)
        self.width = width

    def __call__(self) -> jax.Array:
        """The rows, float32 [1, D]."""
        init = hk.initializers.TruncatedNormal(self.width**-0.5)
        return hk.get_parameter("end_of_chunk", (1, self.width), init=init)
