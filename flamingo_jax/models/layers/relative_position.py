"""Transformer-XL relative positions (Dai et al. 2019, arXiv 1901.02860, section 3.3).

The logit of query position i and key position j has, beside content, the term
`(q_i + v) . W_r s(i - j)` with s a sinusoid of the distance and v a learned bias.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def sinusoid(
    distance: jax.Array, width: int, shortest_period: float, longest_period: float
) -> jax.Array:
    """s(distance), sines in the first half and cosines in the second.

    The periods grow geometrically. Transformer-XL's run from 2 pi to 2 pi * 10,000 positions, which
    at a small width leaves few short ones to tell neighbours apart: a ridge-regression kernel that
    shall peak at distance 1 (width 128, ridge 1) is flat over distances 0 to 2 then, and has a peak
    with periods from 2 to 512. Shorter periods alone did not make a small model look names up.

    Args:
        distance: [...], in positions.
        width: D, even.
        shortest_period: of the first pair, in positions; at least 2 (shorter ones alias).
        longest_period: that the last pairs approach.

    Returns:
        float32 [..., D].
    """
    exponent = jnp.arange(0, width, 2, dtype=jnp.float32) / width
    frequency = 2 * jnp.pi / shortest_period * (longest_period / shortest_period) ** -exponent
    angle = distance[..., None].astype(jnp.float32) * frequency
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


def logits_by_key(query_BTNK: jax.Array, relative_SNK: jax.Array) -> jax.Array:
    """Products of queries with the position keys of their distances to all keys.

    Args:
        query_BTNK: queries at the last T of S positions.
        relative_SNK: position keys of the distances S-1 to 0.

    Returns:
        [B, N, T, S]; column j belongs to key position j, that is, to distance S-T+i-j in row i.
        Columns of distances below 0 hold values without meaning: mask them. Their gradient is taken
        to be zero.
    """
    return _aligned(jnp.einsum("btnk,snk->nbts", query_BTNK, relative_SNK))


# Heads come first, since rows of all examples then are one product, which two threads share. The
# gradient is written out, since columns without meaning have none: the others are moved back as
# one, where automatic differentiation adds two arrays of all pairs of positions.
@jax.custom_vjp
def _aligned(logits_NBTS: jax.Array) -> jax.Array:
    """Moves each row to the left, so that columns of equal key positions stand in one column.

    Args:
        logits_NBTS: columns of the distances S-1 to 0, for queries at the last T of S positions.

    Returns:
        [B, N, T, S], see `logits_by_key`.
    """
    N, B, T, S = logits_NBTS.shape
    # Row i begins with distance S-T+i, in column T-1-i: row after row, that is S-1 numbers after
    # the beginning of the row before. So all but the last column is there, uncut. The last has a
    # meaning in the last row alone, where distance 0 stands in it anyway.
    numbers = jnp.reshape(logits_NBTS, (N, B, T * S))[:, :, T - 1 : -1]
    rows = jnp.reshape(numbers, (N, B, T, S - 1))
    return jnp.swapaxes(jnp.concatenate([rows, logits_NBTS[..., -1:]], axis=-1), 0, 1)


def _aligned_forward(logits_NBTS: jax.Array) -> tuple[jax.Array, None]:
    return _aligned(logits_NBTS), None


def _aligned_backward(_: None, gradient_BNTS: jax.Array) -> tuple[jax.Array]:
    gradient = jnp.swapaxes(gradient_BNTS, 0, 1)
    N, B, T, S = gradient.shape
    parts = (
        jnp.zeros((N, B, T - 1), gradient.dtype),
        jnp.reshape(gradient[..., :-1], (N, B, T * (S - 1))),
        gradient[:, :, -1, -1:],
    )
    return (jnp.reshape(jnp.concatenate(parts, axis=-1), gradient.shape),)


_aligned.defvjp(_aligned_forward, _aligned_backward)


def gather_to_keys(logits_BNTC: jax.Array, distance_BTS: jax.Array) -> jax.Array:
    """Re-indexes logits by key, for queries and keys anywhere.

    Args:
        logits_BNTC: column c belongs to distance C-1-c.
        distance_BTS: int32, how far before each query a key stands.

    Returns:
        [B, N, T, S]; columns of distances below 0 or from C on are without meaning.
    """
    last = logits_BNTC.shape[-1] - 1
    index = last - jnp.clip(distance_BTS, 0, last)
    return jnp.take_along_axis(logits_BNTC, index[:, None], axis=-1)
