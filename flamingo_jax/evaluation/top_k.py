"""The best few of very many columns."""

from __future__ import annotations

import jax
import jax.numpy as jnp

_COLUMNS_OF_A_GROUP = 32


def top_k_of_many(x: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """`jax.lax.top_k` for a few of very many columns, exactly, equal values in the same order.

    The best C columns lie in the C groups of columns with the greatest maxima, so that only those
    are sorted. In a beam search over 32,000 tokens on CPU, `jax.lax.top_k` took 15% of the time.

    Args:
        x: [..., V].
        count: C, at most V.

    Returns:
        (values [..., C], greatest first; their columns, int32 [..., C]).
    """
    *leading, V = x.shape
    width = _COLUMNS_OF_A_GROUP
    padding = [(0, 0)] * len(leading) + [(0, -V % width)]
    groups = jnp.pad(x, padding, constant_values=-jnp.inf).reshape(*leading, -1, width)
    group = jax.lax.top_k(groups.max(axis=-1), min(count, groups.shape[-2]))[1]
    # In the order of the columns, so that of equal values the lower column comes first.
    group = jnp.sort(group, axis=-1)
    few = jnp.take_along_axis(groups, group[..., None], axis=-2)
    value, place = jax.lax.top_k(few.reshape(*leading, -1), count)
    return value, jnp.take_along_axis(group, place // width, axis=-1) * width + place % width
