"""Multi-head attention over given queries, keys and values."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

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
    return _attend(query_BTNK, key_BSNK, value_BSNK, mask, position_logits_BNTS)


class Keys(NamedTuple):
    """Some of the keys of `attend_to_parts`.

    Attributes:
        keys: [B, N, K, S].
        values: [B, N, S, K].
        mask: boolean, broadcastable to [B, N, T, S]; False hides a key.
        position_logits: [B, N, T, S], as of `attend`; None: zeros.
    """

    keys: jax.Array
    values: jax.Array
    mask: jax.Array
    position_logits: jax.Array | None = None


def attend_to_parts(query_BTNK: jax.Array, parts: Sequence[Keys]) -> jax.Array:
    """`attend` to keys that lie in several arrays, heads first; for inference, without gradient.

    Args:
        query_BTNK: queries; those that may see no key get zeros.
        parts: the keys, one or more arrays of them.

    Returns:
        [B, T, N, K] in the dtype of the values.
    """
    output_BNTK = sum(
        jnp.einsum("bnts,bnsk->bntk", weights.astype(part.values.dtype), part.values)
        for weights, part in zip(attention_weights(query_BTNK, parts), parts, strict=True)
    )
    return jnp.swapaxes(jnp.asarray(output_BNTK), 1, 2)


def attention_weights(query_BTNK: jax.Array, parts: Sequence[Keys]) -> list[jax.Array]:
    """How much `attend_to_parts` attends to every key.

    Args:
        query_BTNK: queries.
        parts: the keys; their values are not read.

    Returns:
        float32 [B, N, T, S] for each of the parts. All weights of a query add up to 1, or are 0 if
        it may see no key.
    """
    scale = query_BTNK.shape[-1] ** -0.5
    lowest = jnp.finfo(jnp.float32).min
    query_BNTK = jnp.swapaxes(query_BTNK, 1, 2)
    all_logits = []
    for part in parts:
        logits = jnp.einsum("bntk,bnks->bnts", query_BNTK, part.keys)
        if part.position_logits is not None:
            logits = logits + part.position_logits
        all_logits.append(jnp.where(part.mask, logits.astype(jnp.float32) * scale, lowest))
    maximum = [jnp.max(logits, axis=-1, keepdims=True, initial=lowest) for logits in all_logits]
    highest_BNT1 = functools.reduce(jnp.maximum, maximum)
    # Where all is hidden, the exponentials are 1 before the mask takes them away.
    weights = [
        jnp.exp(logits - highest_BNT1) * part.mask
        for logits, part in zip(all_logits, parts, strict=True)
    ]
    total_BNT1 = sum(jnp.sum(weight, axis=-1, keepdims=True) for weight in weights)
    inverse_BNT1 = 1.0 / jnp.maximum(total_BNT1, jnp.finfo(jnp.float32).tiny)
    return [weight * inverse_BNT1 for weight in weights]


# The gradient is written out, since it needs less than automatic differentiation keeps and reads:
# of the arrays over all pairs of positions the probabilities alone are kept, and the row sums of
# probability times its gradient are those of output times its gradient, which is much smaller.
@jax.custom_vjp
def _attend(
    query_BTNK: jax.Array,
    key_BSNK: jax.Array,
    value_BSNK: jax.Array,
    mask: jax.Array | None,
    position_logits_BNTS: jax.Array | None,
) -> jax.Array:
    return _attend_forward(query_BTNK, key_BSNK, value_BSNK, mask, position_logits_BNTS)[0]


def _attend_forward(
    query_BTNK: jax.Array,
    key_BSNK: jax.Array,
    value_BSNK: jax.Array,
    mask: jax.Array | None,
    position_logits_BNTS: jax.Array | None,
) -> tuple[jax.Array, tuple[Any, ...]]:
    """The output, and what the gradient needs of the way there."""
    query, key, value = (jnp.swapaxes(x, 1, 2) for x in (query_BTNK, key_BSNK, value_BSNK))
    logits = jnp.einsum("bntk,bnsk->bnts", query, key)
    if position_logits_BNTS is not None:
        logits = logits + position_logits_BNTS
    logits = logits.astype(jnp.float32) * query_BTNK.shape[-1] ** -0.5
    if mask is not None:
        logits = jnp.where(mask, logits, jnp.finfo(jnp.float32).min)
    probabilities = jax.nn.softmax(logits, axis=-1)
    if mask is not None:
        # The rows of queries that see no key are uniform so far; hidden keys of others are 0.
        probabilities = probabilities * jnp.any(mask, axis=-1, keepdims=True)
    probabilities = probabilities.astype(value_BSNK.dtype)
    output = jnp.swapaxes(jnp.einsum("bnts,bnsk->bntk", probabilities, value), 1, 2)
    empty = None if position_logits_BNTS is None else position_logits_BNTS[:0]  # for its dtype
    return output, (query_BTNK, key_BSNK, value_BSNK, probabilities, output, empty)


def _attend_backward(residuals: tuple[Any, ...], gradient_BTNK: jax.Array) -> tuple[Any, ...]:
    """Gradients of all arguments; a mask has none."""
    query_BTNK, key_BSNK, value_BSNK, probabilities, output_BTNK, empty = residuals
    products = output_BTNK.astype(jnp.float32) * gradient_BTNK.astype(jnp.float32)
    row_sum_BNT1 = jnp.sum(products, axis=-1).swapaxes(1, 2)[..., None]
    query, key, value, gradient = (
        jnp.swapaxes(x, 1, 2) for x in (query_BTNK, key_BSNK, value_BSNK, gradient_BTNK)
    )
    logit_gradient = jnp.einsum("bntk,bnsk->bnts", gradient, value).astype(jnp.float32)
    logit_gradient = probabilities.astype(jnp.float32) * (logit_gradient - row_sum_BNT1)
    logit_gradient = (logit_gradient * query_BTNK.shape[-1] ** -0.5).astype(query_BTNK.dtype)
    return (
        jnp.swapaxes(jnp.einsum("bnts,bnsk->bntk", logit_gradient, key), 1, 2),
        jnp.swapaxes(jnp.einsum("bnts,bntk->bnsk", logit_gradient, query), 1, 2),
        jnp.swapaxes(jnp.einsum("bnts,bntk->bnsk", probabilities, gradient), 1, 2),
        None,
        None if empty is None else logit_gradient.astype(empty.dtype),
    )


_attend.defvjp(_attend_forward, _attend_backward)
