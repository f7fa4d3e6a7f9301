"""Attention against the formula and against automatic differentiation of the formula."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.models.layers.attention import attend

Arrays = tuple[jax.Array, ...]


def by_formula(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None,
    position_logits: jax.Array | None,
) -> jax.Array:
    """softmax(q k / sqrt(K) + position) v, hidden keys left out of the sum."""
    logits = jnp.einsum("btnk,bsnk->bnts", query, key) / np.sqrt(query.shape[-1])
    if position_logits is not None:
        logits = logits + position_logits
    weights = jnp.exp(logits)
    if mask is not None:
        weights = weights * mask
    total = jnp.sum(weights, axis=-1, keepdims=True)
    return jnp.einsum("bnts,bsnk->btnk", weights / jnp.where(total > 0, total, 1.0), value)


def arrays(seed: int = 0) -> Arrays:
    """Queries [2, 5, 3, 4], keys and values [2, 7, 3, 4], a mask, position logits."""
    rng = np.random.default_rng(seed)
    query = rng.standard_normal((2, 5, 3, 4), np.float32)
    key, value = rng.standard_normal((2, 2, 7, 3, 4), np.float32)
    mask = rng.integers(0, 2, (2, 1, 5, 7)).astype(bool)
    mask[0, 0, 2] = False  # a query that sees nothing
    position = rng.standard_normal((2, 3, 5, 7), np.float32)
    return tuple(map(jnp.asarray, (query, key, value, mask, position)))


@pytest.mark.parametrize("with_mask", [False, True])
@pytest.mark.parametrize("with_position", [False, True])
def test_values_and_gradients_are_those_of_the_formula(
    with_mask: bool, with_position: bool
) -> None:
    query, key, value, mask, position = arrays()
    output_weight = jnp.asarray(np.random.default_rng(1).standard_normal((2, 5, 3, 4)))

    def loss(attention, q, k, v, p):  # noqa: ANN001, ANN202
        output = attention(q, k, v, mask if with_mask else None, p if with_position else None)
        return jnp.sum(output * output_weight), output

    results = [
        jax.value_and_grad(
            lambda *inputs, attention=attention: loss(attention, *inputs),
            argnums=(0, 1, 2, 3),
            has_aux=True,
        )(query, key, value, position)
        for attention in (attend, by_formula)
    ]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5), *results)


def test_a_query_that_sees_nothing_gets_zeros_and_no_gradient() -> None:
    query, key, value, mask, _ = arrays()
    output, pull_back = jax.vjp(lambda *inputs: attend(*inputs, mask), query, key, value)
    np.testing.assert_array_equal(output[0, 2], 0.0)
    only_that = jnp.zeros_like(output).at[0, 2].set(1.0)
    for gradient in pull_back(only_that):
        np.testing.assert_array_equal(gradient, 0.0)
    assert float(jnp.abs(output[0, 1]).max()) > 0


def test_bfloat16_stays_bfloat16_with_a_float32_softmax() -> None:
    query, key, value, mask, position = arrays()
    half = [array.astype(jnp.bfloat16) for array in (query, key, value, position)]

    def run(q: jax.Array, k: jax.Array, v: jax.Array, p: jax.Array) -> jax.Array:
        return attend(q, k, v, mask, p)

    output, pull_back = jax.vjp(run, *half)
    gradients = pull_back(jnp.ones_like(output))
    assert {array.dtype for array in (output, *gradients)} == {jnp.dtype(jnp.bfloat16)}
    exact = run(query, key, value, position)
    np.testing.assert_allclose(output.astype(jnp.float32), exact, atol=0.05)
    # Equal logits far beyond bfloat16's steps of 1: the float32 softmax is still uniform.
    large = jnp.full((1, 1, 1, 1), 300.0, jnp.bfloat16)
    keys = jnp.ones((1, 3, 1, 1), jnp.bfloat16)
    values = jnp.asarray([0.0, 3.0, 6.0], jnp.bfloat16).reshape(1, 3, 1, 1)
    assert float(attend(large, keys, values)[0, 0, 0, 0]) == pytest.approx(3.0, rel=1e-2)


def test_no_array_of_all_pairs_but_the_probabilities_is_kept_for_the_backward_pass() -> None:
    query, key, value, mask, position = arrays()
    _, pull_back = jax.vjp(lambda q: attend(q, key, value, mask, position), query)
    kept = [leaf.shape for leaf in jax.tree.leaves(pull_back)]
    assert kept.count((2, 3, 5, 7)) == 1
