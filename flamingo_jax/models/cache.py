"""What decoding keeps of a prompt, and of the answers that it is continued with.

A prompt is computed once and only read from then on. Its answers (the beams of a search, the
candidates of a ranking) are tokens of the same row in a second, small cache of slots: every token
says which slots hold what stands before it in its own answer. Nothing of the prompt is copied for
an answer, and nothing is moved when beams are dropped.

Heads come before positions, and keys have these last, as the products of attention want it: with
few queries, XLA's library is up to seven times slower where it has to turn the keys. Caches of a
stack have the layers in leading axes, those of layers apart (`layers_apart`) are tuples of layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class KeysAndValues(NamedTuple):
    """Keys and values of one attention layer.

    Attributes:
        keys: [..., B, N, K, S].
        values: [..., B, N, S, K].
    """

    keys: jax.Array
    values: jax.Array

    @classmethod
    def of_tokens(cls, key_BTNK: jax.Array, value_BTNK: jax.Array) -> KeysAndValues:
        """Those of some tokens, as projections give them."""
        return cls(jnp.transpose(key_BTNK, (0, 2, 3, 1)), jnp.swapaxes(value_BTNK, 1, 2))

    def updated(self, new: KeysAndValues, slot: jax.Array) -> KeysAndValues:
        """These with others put in, the first of them at position `slot`."""
        update = jax.lax.dynamic_update_slice_in_dim
        return KeysAndValues(
            update(self.keys, new.keys, slot, axis=-1),
            update(self.values, new.values, slot, axis=-2),
        )

    def along_positions(self, change: Callable[[jax.Array, int], jax.Array]) -> KeysAndValues:
        """Both changed by `change(array, axis of positions)`; the axis counts from the end."""
        return KeysAndValues(change(self.keys, -1), change(self.values, -2))


class TextCache(NamedTuple):
    """What is kept of a self-attention layer for one prompt.

    Attributes:
        text: keys and values of the prompt's tokens.
        relative: [..., N, C, K], position keys of the distances C-1 to 0; of no row in particular.
    """

    text: KeysAndValues
    relative: jax.Array


class GroupCache(NamedTuple):
    """What is kept of a stack's groups.

    Attributes:
        text: `TextCache` of a prompt, `KeysAndValues` of its answers; every group has some.
        media: keys and values of the visual tokens that the answers see; None in a stack without
            cross-attention, and in a cache of answers.

    Groups that are watched put their weights there instead, see `attention_masses`.
    """

    text: Any
    media: Any


class PromptCache(NamedTuple):
    """What is kept of prompts.

    Attributes:
        length: int32 [B], tokens of each.
        media_mask: boolean [B, 1, 1, M], which of the visual tokens in `stacks` the answers see.
        stacks: `GroupCache` of the decoder's stacks in order; of layers apart, a tuple of it.
    """

    length: jax.Array
    media_mask: jax.Array
    stacks: tuple[Any, ...]


AnswerCache = tuple[Any, ...]
"""As `PromptCache.stacks`: the keys and values of A slots."""


class AnswerPlace(NamedTuple):
    """Where tokens of answers stand.

    Attributes:
        depth: int32 [B, T], how many tokens of its answer stand before each.
        distance: int32 [B, T, A], how far before the token that of a slot stands, 0 for itself;
            negative: it is not of its answer, or not yet there.
        slot: int32 [], the slot of the first token; the others follow.
    """

    depth: jax.Array
    distance: jax.Array
    slot: jax.Array


class History(NamedTuple):
    """What the inputs of one self-attention layer go on with.

    Attributes:
        length: int32 [B], of the prompts.
        place: of the inputs.
        prompt: of this layer.
        answers: of this layer, A slots.
        is_watched: whether the layer tells how it attends, in place of the answers' new cache.
    """

    length: jax.Array
    place: AnswerPlace
    prompt: TextCache
    answers: KeysAndValues
    is_watched: bool = False


def start_answers(prompt: PromptCache, num_slots: int) -> AnswerCache:
    """Empty slots for the answers to prompts."""

    def start(node: TextCache | KeysAndValues) -> KeysAndValues | None:
        if not isinstance(node, TextCache):
            return None
        *leading, _, K = node.text.values.shape
        values = jnp.zeros((*leading, num_slots, K), node.text.values.dtype)
        return KeysAndValues(jnp.swapaxes(values, -1, -2), values)

    answers: AnswerCache = jax.tree.map(
        start, prompt.stacks, is_leaf=lambda node: isinstance(node, (TextCache, KeysAndValues))
    )
    return answers


def of_picture(media: KeysAndValues, phi_B: jax.Array, num_latents: int) -> KeysAndValues:
    """Keys and values of one picture's visual tokens: of I*R positions, R.

    Args:
        media: of all I pictures.
        phi_B: int32, the picture, from 1; 0 gives those of the first.
        num_latents: R, visual tokens of a picture.
    """

    def pick(leaf: jax.Array, axis: int) -> jax.Array:
        before, after = leaf.shape[:axis], leaf.shape[leaf.ndim + axis + 1 :]
        by_picture = jnp.reshape(leaf, (*before, -1, num_latents, *after))
        ones = [1] * (by_picture.ndim - 5)
        index = jnp.reshape(jnp.maximum(phi_B - 1, 0), (*ones, -1, 1, 1, 1, 1))
        return jnp.squeeze(jnp.take_along_axis(by_picture, index, axis=axis - 1), axis=axis - 1)

    return media.along_positions(pick)
