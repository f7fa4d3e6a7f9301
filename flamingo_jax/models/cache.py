"""What decoding keeps of a prompt, and of the answers that it is continued with.

A prompt is computed once and only read from then on. Its answers (the beams of a search, the
candidates of a ranking) are tokens of the same row in a second, small cache of slots: every token
says which slots hold what stands before it in its own answer. Nothing of the prompt is copied for
an answer, and nothing is moved when beams are dropped.

Heads come before positions, as the products of attention want it. Caches of a stack have the layers
in leading axes, those of layers apart (`layers_apart`) are tuples of layers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class KeysAndValues(NamedTuple):
    """Keys and values of one attention layer, [..., B, N, S, K] each."""

    keys: jax.Array
    values: jax.Array


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
        answers: of this layer, [B, N, A, K].
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
        keys = node.text.keys
        empty = jnp.zeros((*keys.shape[:-2], num_slots, keys.shape[-1]), keys.dtype)
        return KeysAndValues(empty, empty)

    answers: AnswerCache = jax.tree.map(
        start, prompt.stacks, is_leaf=lambda node: isinstance(node, (TextCache, KeysAndValues))
    )
    return answers


def of_picture(media: KeysAndValues, phi_B: jax.Array, num_latents: int) -> KeysAndValues:
    """Keys and values of one picture's visual tokens: [..., B, N, I*R, K] -> [..., B, N, R, K].

    Args:
        media: of all I pictures.
        phi_B: int32, the picture, from 1; 0 gives those of the first.
        num_latents: R, visual tokens of a picture.
    """

    def pick(leaf: jax.Array) -> jax.Array:
        *leading, B, N, M, K = leaf.shape
        by_picture = jnp.reshape(leaf, (*leading, B, N, M // num_latents, num_latents, K))
        index = jnp.reshape(jnp.maximum(phi_B - 1, 0), (*[1] * len(leading), B, 1, 1, 1, 1))
        return jnp.squeeze(jnp.take_along_axis(by_picture, index, axis=-3), axis=-3)

    return KeysAndValues(pick(media.keys), pick(media.values))
