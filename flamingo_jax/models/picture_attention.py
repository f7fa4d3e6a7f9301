"""Cross-attention in which every token sees the visual tokens of one picture: phi's.

A mask over all pictures would hide all but one of them from each token, after products with all of
them. Here a block of tokens meets the pictures that its tokens see and no others.

Since phi counts pictures, it does not fall along a row (tokens that see none, phi 0, may stand
anywhere): J blocks of tokens and I pictures meet in at most J + I - 1 pairs, like the squares that
a staircase passes through. So their number is known before their places are.

Shape letters: B batch, T tokens, I pictures, R visual tokens of a picture, N heads, K width of a
head, J blocks, C tokens of a block, P pairs of a block and a picture.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from flamingo_jax.models.layers.attention import attend

_BLOCK = 32
"""Tokens of a block. Smaller ones meet fewer pictures that they need not, in smaller products."""

_IN_BOUNDS = "promise_in_bounds"
"""What is looked up is there, so nothing has to be put in its place."""


class OwnPicture(NamedTuple):
    """That a token sees one picture, where a mask would say so for every visual token.

    Attributes:
        media_index: phi, int32 [B, T], as of `attend_to_own_picture`.
        num_latents: R.
    """

    media_index: jax.Array
    num_latents: int

    def by_picture(self, x_BMNK: jax.Array) -> jax.Array:
        """Visual tokens of all pictures in a row, as those of each: [B, I, R, N, K]."""
        B, M, N, K = x_BMNK.shape
        return jnp.reshape(x_BMNK, (B, M // self.num_latents, self.num_latents, N, K))


def attend_to_own_picture(
    query_BTNK: jax.Array, key_BIRNK: jax.Array, value_BIRNK: jax.Array, media_index_BT: jax.Array
) -> jax.Array:
    """Scaled dot-product attention with a float32 softmax, of each token to one picture.

    The values are those of `layers.attention.attend` with `masks.media_mask`.

    Args:
        query_BTNK: queries.
        key_BIRNK: keys of the visual tokens.
        value_BIRNK: their values.
        media_index_BT: phi, int32; where it is 0, or above I, the result is 0. It does not fall
            along a row, zeros left out. Where it falls so often that the pairs do not suffice, the
            result of the row is not a number, never a wrong one.

    Returns:
        [B, T, N, K] in the dtype of the values.
    """
    T = query_BTNK.shape[1]
    padding = -T % _BLOCK
    pad = ((0, 0), (0, padding))
    query_BTNK = jnp.pad(query_BTNK, (*pad, (0, 0), (0, 0)))
    pairs = _pair(jnp.pad(media_index_BT, pad), key_BIRNK.shape[1])
    # Heads come before positions in all that is looked up, as the products want it: there are more
    # pairs than blocks and pictures, so turning comes first.
    key_BINRK, value_BINRK = jnp.swapaxes(key_BIRNK, 2, 3), jnp.swapaxes(value_BIRNK, 2, 3)
    by_pair = (
        _of_blocks(query_BTNK, pairs), _of_pictures(key_BINRK, pairs),
        _of_pictures(value_BINRK, pairs),
    )  # fmt: skip
    rows = [jnp.swapaxes(jnp.reshape(x, (-1, *x.shape[2:])), 1, 2) for x in by_pair]
    # Tokens of the block that see another picture attend as well; they are not looked up.
    attended = jnp.reshape(jnp.swapaxes(attend(*rows), 1, 2), by_pair[0].shape)
    return _of_tokens(attended, pairs)[:, :T]


class Pairs(NamedTuple):
    """Which blocks and pictures meet.

    Attributes:
        block: int32 [B, P].
        picture: int32 [B, P], from 0.
        sees: [B, P, C], whether the block's token sees that picture.
        of_token: int32 [B, T], the pair in which the token sees its picture.
        weight: float32 [B, T], 1; 0 of tokens that see none; not a number in rows that need more
            pairs.
    """

    block: jax.Array
    picture: jax.Array
    sees: jax.Array
    of_token: jax.Array
    weight: jax.Array


def _pair(media_index_BT: jax.Array, num_media: int) -> Pairs:
    """Pairs the blocks of a row with the pictures that they see, from left to right."""
    B, _ = media_index_BT.shape
    media_index_BT = jnp.where(media_index_BT > num_media, 0, media_index_BT)
    media_index_BJC = jnp.reshape(media_index_BT, (B, -1, _BLOCK))
    num_blocks = media_index_BJC.shape[1]
    last_BJ = jnp.max(media_index_BJC, axis=2)
    first_BJ = jnp.min(jnp.where(media_index_BJC > 0, media_index_BJC, num_media + 1), axis=2)
    count_BJ = jnp.where(last_BJ > 0, last_BJ - first_BJ + 1, 0)
    stop_BJ = jnp.cumsum(count_BJ, axis=1)
    # The pair in which a block meets picture 0, if it did.
    offset_BJ = stop_BJ - count_BJ - first_BJ

    num_pairs = num_blocks + num_media - 1
    pair_P = jnp.arange(num_pairs)
    block_BP = jnp.sum(pair_P[:, None] >= stop_BJ[:, None], axis=2)
    block_BP = jnp.minimum(block_BP, num_blocks - 1)  # Of the pairs that are left over.
    picture_BP = pair_P - jnp.take_along_axis(offset_BJ, block_BP, axis=1)
    media_index_BPC = jnp.take_along_axis(media_index_BJC, block_BP[:, :, None], axis=1)
    of_token_BT = media_index_BT + jnp.repeat(offset_BJ, _BLOCK, axis=1)
    is_short_B1 = stop_BJ[:, -1:] > num_pairs
    weight_BT = jnp.where(is_short_B1, jnp.nan, (media_index_BT > 0).astype(jnp.float32))
    return Pairs(
        block_BP,
        jnp.clip(picture_BP - 1, 0, num_media - 1),
        (media_index_BPC == picture_BP[:, :, None]) & (media_index_BPC > 0),
        jnp.clip(of_token_BT, 0, num_pairs - 1),
        weight_BT,
    )


def _take(x_BJNCK: jax.Array, index_BP: jax.Array) -> jax.Array:
    """What stands at places of the second axis: [B, J, ...], [B, P] -> [B, P, ...]."""
    index = index_BP[:, :, None, None, None]
    return jnp.take_along_axis(x_BJNCK, index, axis=1, mode=_IN_BOUNDS)


def _take_blocks(x_BTNK: jax.Array, pairs: Pairs) -> jax.Array:
    B, _, N, K = x_BTNK.shape
    x_BJNCK = jnp.swapaxes(jnp.reshape(x_BTNK, (B, -1, _BLOCK, N, K)), 2, 3)
    return _take(x_BJNCK, pairs.block)


def _take_tokens(x_BPNCK: jax.Array, pairs: Pairs) -> jax.Array:
    C, T = x_BPNCK.shape[3], pairs.of_token.shape[1]

    def of_row(x_PNCK: jax.Array, pair_T: jax.Array) -> jax.Array:
        return x_PNCK.at[pair_T, :, jnp.arange(T) % C].get(mode=_IN_BOUNDS)

    x_BTNK = jax.vmap(of_row)(x_BPNCK, pairs.of_token)
    weight_BT11 = pairs.weight[:, :, None, None].astype(x_BTNK.dtype)
    return jnp.where(weight_BT11 == 0, 0, x_BTNK * weight_BT11)


# The gradients are written out: of all pairs of a token, the one in which it sees its picture alone
# has a gradient, so they are looked up in turn, where automatic differentiation adds at an index.
@jax.custom_vjp
def _of_blocks(x_BTNK: jax.Array, pairs: Pairs) -> jax.Array:
    """The block of every pair: [B, T, N, K] -> [B, P, N, C, K]."""
    return _take_blocks(x_BTNK, pairs)


_of_blocks.defvjp(
    lambda x_BTNK, pairs: (_take_blocks(x_BTNK, pairs), pairs),
    lambda pairs, gradient_BPNCK: (_take_tokens(gradient_BPNCK, pairs), None),
)


@jax.custom_vjp
def _of_tokens(x_BPNCK: jax.Array, pairs: Pairs) -> jax.Array:
    """What every token has from the pair of its picture: [B, P, N, C, K] -> [B, T, N, K]."""
    return _take_tokens(x_BPNCK, pairs)


def _of_tokens_backward(pairs: Pairs, gradient_BTNK: jax.Array) -> tuple[jax.Array, None]:
    sees_BP1C1 = pairs.sees[:, :, None, :, None].astype(gradient_BTNK.dtype)
    return _take_blocks(gradient_BTNK, pairs) * sees_BP1C1, None


_of_tokens.defvjp(
    lambda x_BPNCK, pairs: (_take_tokens(x_BPNCK, pairs), pairs), _of_tokens_backward
)


@jax.custom_vjp
def _of_pictures(x_BINRK: jax.Array, pairs: Pairs) -> jax.Array:
    """The picture of every pair: [B, I, N, R, K] -> [B, P, N, R, K]."""
    return _take(x_BINRK, pairs.picture)


def _of_pictures_forward(x_BINRK: jax.Array, pairs: Pairs) -> tuple[jax.Array, Any]:
    is_picture_BPI = pairs.picture[:, :, None] == jnp.arange(x_BINRK.shape[1])
    return _of_pictures(x_BINRK, pairs), is_picture_BPI


def _of_pictures_backward(is_picture_BPI: Any, gradient: jax.Array) -> tuple[jax.Array, None]:
    """Sums over the pairs of every picture."""
    weight_BPI = is_picture_BPI.astype(gradient.dtype)
    return jnp.einsum("bpi,bpnrk->binrk", weight_BPI, gradient), None


_of_pictures.defvjp(_of_pictures_forward, _of_pictures_backward)
