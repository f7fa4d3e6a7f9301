"""Multi-head attention over given queries, keys and values."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from flamingo_jax.models.layers.linear import Linear

_HIDDEN = float(jnp.finfo(jnp.float32).min)
"""Logit of a hidden key."""


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
        position_logits_BNTS: added to the products of queries and keys, after these are scaled by
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
    query_BNTK = jnp.swapaxes(query_BTNK * query_BTNK.shape[-1] ** -0.5, 1, 2)
    all_logits = []
    for part in parts:
        logits = jnp.einsum("bntk,bnks->bnts", query_BNTK, part.keys).astype(jnp.float32)
        all_logits.append(logits + _logit_bias(part.mask, part.position_logits))
    return _softmax(all_logits)


def _logit_bias(mask: jax.Array | None, position_logits: jax.Array | None) -> jax.Array:
    """What is added to logits, float32; where a key is hidden, far below what adds up with it."""
    bias = jnp.float32(0) if position_logits is None else position_logits.astype(jnp.float32)
    return bias if mask is None else jnp.where(mask, bias, _HIDDEN)


def _softmax(parts: Sequence[jax.Array]) -> list[jax.Array]:
    """Softmax over the last axis of all parts; 0 where all is hidden."""
    # Never as low as a hidden key's, whose exponential therefore is 0 even where all are hidden.
    maximum = functools.partial(jnp.max, axis=-1, keepdims=True, initial=_HIDDEN / 2)
    highest = functools.reduce(jnp.maximum, [maximum(logits) for logits in parts])
    exponentials = [jnp.exp(logits - highest) for logits in parts]
    total = functools.reduce(jnp.add, [jnp.sum(x, axis=-1, keepdims=True) for x in exponentials])
    inverse = 1.0 / jnp.maximum(total, jnp.finfo(jnp.float32).tiny)
    return [x * inverse for x in exponentials]


# The gradient is written out, since it needs less than automatic differentiation keeps: of the
# arrays over all pairs of positions the probabilities alone. XLA:CPU makes one operation of a
# product, what is done with its elements, and sums over its rows, and shares the heads of such an
# operation among threads; a product alone it gives to one. Hence a mask that is added, and the row
# sums of all pairs of positions, though those of output times its gradient are the same.
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
    scaled_query_BTNK = query_BTNK * query_BTNK.shape[-1] ** -0.5
    query, key, value = (jnp.swapaxes(x, 1, 2) for x in (scaled_query_BTNK, key_BSNK, value_BSNK))
    logits = jnp.einsum("bntk,bnsk->bnts", query, key).astype(jnp.float32)
    if position_logits_BNTS is not None or mask is not None:
        logits = logits + _logit_bias(mask, position_logits_BNTS)
    probabilities = _softmax([logits])[0].astype(value_BSNK.dtype)
    output = jnp.swapaxes(jnp.einsum("bnts,bnsk->bntk", probabilities, value), 1, 2)
    empty = None if position_logits_BNTS is None else position_logits_BNTS[:0]  # for its dtype
    return output, (scaled_query_BTNK, key_BSNK, value_BSNK, probabilities, empty)


def _attend_backward(residuals: tuple[Any, ...], gradient_BTNK: jax.Array) -> tuple[Any, ...]:
    """Gradients of all arguments; a mask has none."""
    scaled_query_BTNK, key_BSNK, value_BSNK, probabilities, empty = residuals
    scale = key_BSNK.shape[-1] ** -0.5
    query, key, value, gradient = (
        jnp.swapaxes(x, 1, 2) for x in (scaled_query_BTNK, key_BSNK, value_BSNK, gradient_BTNK)
    )
    probability_gradient = jnp.einsum("bntk,bnsk->bnts", gradient, value).astype(jnp.float32)
    weighted = probabilities.astype(jnp.float32) * probability_gradient
    row_sum_BNT1 = jnp.sum(weighted, axis=-1, keepdims=True)
    logit_gradient = weighted - probabilities.astype(jnp.float32) * row_sum_BNT1
    position_gradient = None if empty is None else logit_gradient.astype(empty.dtype)
    logit_gradient = logit_gradient.astype(key_BSNK.dtype)
    return (
        jnp.swapaxes(jnp.einsum("bnts,bnsk->bntk", logit_gradient, key), 1, 2) * scale,
        jnp.swapaxes(jnp.einsum("bnts,bntk->bnsk", logit_gradient, query), 1, 2),
        jnp.swapaxes(jnp.einsum("bnts,bntk->bnsk", probabilities, gradient), 1, 2),
        None,
        position_gradient,
    )


_attend.defvjp(_attend_forward, _attend_backward)
