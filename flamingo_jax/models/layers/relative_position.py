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
        Columns of distances below 0 hold values without meaning: mask them.
    """
    B, T, N, K = query_BTNK.shape
    S = len(relative_SNK)
    # Position keys are repeated for each row of the batch, so that its products lie as they are
    # needed: in another order they would be moved.
    keys_BNSK = jnp.broadcast_to(jnp.swapaxes(relative_SNK, 0, 1), (B, N, S, K))
    logits = jnp.einsum("btnk,bnsk->bnts", query_BTNK, keys_BNSK)
    # Row i begins with distance S-T+i, in column T-1-i: row after row, that is S-1 numbers after
    # the beginning of the row before. So all but the last column is there, uncut. The last has a
    # meaning in the last row alone, where distance 0 stands in it anyway.
    rows = jnp.reshape(logits, (B, N, T * S))[:, :, T - 1 : T - 1 + T * (S - 1)]
    return jnp.concatenate([jnp.reshape(rows, (B, N, T, S - 1)), logits[..., -1:]], axis=-1)


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
