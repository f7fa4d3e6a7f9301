"""Attention of a whole prompt, for inference: what is masked anyway is left out, block by block.

A prompt of many shots is long, and few of its pairs of positions matter: half of those of text and
text, and in cross-attention those of a token and its own picture. Values are those of
`layers.attention.attend` over everything.
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

_MEDIA_BLOCK = 64
"""Tokens that look at the same few pictures in cross-attention."""


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
        text: keys and values [B, N, T, K] of the same tokens.
        relative_NSK: position keys of the distances S-1 to 0, S at least T.

    Returns:
        [B, T, N, K].
    """
    T = content_query.shape[1]
    size = max(-(-T // _TEXT_BLOCKS), _SMALLEST_TEXT_BLOCK)
    outputs = []
    for start in range(0, T, size):
        stop = min(start + size, T)
        position_logits = relative_position.shift_to_keys(
            jnp.einsum("btnk,nsk->bnts", position_query[:, start:stop], relative_NSK[:, -stop:])
        )
        mask = text_mask(jnp.arange(start, stop)[None], stop)
        keys = Keys(text.keys[:, :, :stop], text.values[:, :, :stop], mask, position_logits)
        outputs.append(attend_to_parts(content_query[:, start:stop], [keys]))
    return jnp.concatenate(outputs, axis=1)


def attend_to_media(
    query_BTNK: jax.Array, media: KeysAndValues, mask: jax.Array, num_latents: int
) -> jax.Array:
    """Cross-attention to the visual tokens of many pictures, of which each token sees few.

    A block of tokens is given a window of pictures. If any block sees more than fits in, all look
    at all pictures instead.

    Args:
        query_BTNK: queries.
        media: keys and values [B, N, I*R, K] of I pictures.
        mask: boolean [B, 1, T, I*R]; a token sees all visual tokens of a picture, or none.
        num_latents: R, visual tokens of a picture.

    Returns:
        [B, T, N, K].
    """
    T, num_media = query_BTNK.shape[1], mask.shape[-1] // num_latents
    # Twice as many pictures as a block has on average, and one that begins before it on either end.
    window = 2 * (_MEDIA_BLOCK * num_media // max(T, 1)) + 2

    def at_all() -> jax.Array:
        return attend_to_parts(query_BTNK, [Keys(media.keys, media.values, mask)])

    if window >= num_media:
        return at_all()
    starts = range(0, T, _MEDIA_BLOCK)
    sees_BTI = mask[:, 0, :, ::num_latents]
    firsts, fits = [], jnp.bool_(True)
    for start in starts:
        is_seen_BI = jnp.any(sees_BTI[:, start : start + _MEDIA_BLOCK], axis=1)
        first_B = jnp.argmax(is_seen_BI, axis=1)
        last_B = num_media - 1 - jnp.argmax(is_seen_BI[:, ::-1], axis=1)
        fits &= jnp.all((last_B - first_B < window) | ~jnp.any(is_seen_BI, axis=1))
        firsts.append(jnp.minimum(first_B, num_media - window) * num_latents)

    def at_windows() -> jax.Array:
        outputs = []
        for start, first_B in zip(starts, firsts, strict=True):

            def cut(leaf: jax.Array, axis: int, first_B: jax.Array = first_B) -> jax.Array:
                size = window * num_latents
                return jax.vmap(
                    lambda row, first: jax.lax.dynamic_slice_in_dim(row, first, size, axis)
                )(leaf, first_B)

            some_mask = cut(mask[:, :, start : start + _MEDIA_BLOCK], 2)
            keys = Keys(cut(media.keys, 1), cut(media.values, 1), some_mask)
            outputs.append(attend_to_parts(query_BTNK[:, start : start + _MEDIA_BLOCK], [keys]))
        return jnp.concatenate(outputs, axis=1)

    return jax.lax.cond(fits, at_windows, at_all)
