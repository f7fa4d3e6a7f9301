"""Multi-head attention over given queries, keys and values."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from flamingo_jax.models.layers.linear import Linear


def project_heads(
    x_BTD: jax.Array, num_heads: int, head_dim: int, *, with_bias: bool, name: str
) -> jax.Array:
    """A linear layer whose output is split into heads: [..., T, D] -> [..., T, N, K].

    N is `num_heads` and K is `head_dim`.
    """
    y = Linear(num_heads * head_dim, with_bias=with_bias, name=name)(x_BTD)
    return jnp.reshape(y, (*y.shape[:-1], num_heads, head_dim))


def merge_heads(x_BTNK: jax.Array) -> jax.Array:
    """[..., T, N, K] -> [..., T, N*K]."""
    return jnp.reshape(x_BTNK, (*x_BTNK.shape[:-2], x_BTNK.shape[-2] * x_BTNK.shape[-1]))


def attend(
    query_BTNK: jax.Array,
    key_BSNK: jax.Array,
    value_BSNK: jax.Array,
    mask: jax.Array | None = None,
    position_logits_BNTS: jax.Array | None = None,
) -> jax.Array:
    """Scaled dot-product attention with a float32 softmax.

    Args:
        query_BTNK: queries.
        key_BSNK: keys.
        value_BSNK: values.
        mask: boolean, broadcastable to [B, N, T, S]; False hides a key. A query that may see no key
            gets zeros.
        position_logits_BNTS: added to the products of queries and keys before scaling by
            1/sqrt(K).

    Returns:
        [B, T, N, K] in the dtype of the values.
    """
    scale = query_BTNK.shape[-1] ** -0.5
    logits = jnp.einsum("btnk,bsnk->bnts", query_BTNK, key_BSNK)
    if position_logits_BNTS is not None:
        logits = logits + position_logits_BNTS
    logits = logits.astype(jnp.float32) * scale
    if mask is not None:
        logits = jnp.where(mask, logits, jnp.finfo(jnp.float32).min)
    probabilities = jax.nn.softmax(logits, axis=-1)
    if mask is not None:
        probabilities = jnp.where(mask, probabilities, 0.0)
    return jnp.einsum("bnts,bsnk->btnk", probabilities.astype(value_BSNK.dtype), value_BSNK)
