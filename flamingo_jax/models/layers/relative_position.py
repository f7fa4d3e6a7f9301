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


def shift_to_keys(logits_BNTS: jax.Array) -> jax.Array:
    """Re-indexes logits by key, for queries and keys at the same T positions.

    Args:
        logits_BNTS: [B, N, T, T]; column c belongs to distance T-1-c.

    Returns:
        [B, N, T, T]; column j belongs to key position j, that is, to distance i-j in row i. Columns
        j > i hold values without meaning: mask them.
    """
    B, N, T, S = logits_BNTS.shape
    padded = jnp.pad(logits_BNTS, ((0, 0), (0, 0), (0, 0), (1, 0)))
    return jnp.reshape(padded, (B, N, S + 1, T))[:, :, 1:].reshape(B, N, T, S)


def gather_to_keys(logits_BNTC: jax.Array, distance_BTS: jax.Array) -> jax.Array:
    """Re-indexes logits by key, for queries and keys anywhere.

    Args:
        logits_BNTC: column c belongs to distance C-1-c, as in `shift_to_keys`.
        distance_BTS: int32, how far before each query a key stands.

    Returns:
        [B, N, T, S]; columns of distances below 0 or from C on are without meaning.
    """
    last = logits_BNTC.shape[-1] - 1
    index = last - jnp.clip(distance_BTS, 0, last)
    return jnp.take_along_axis(logits_BNTC, index[:, None], axis=-1)
