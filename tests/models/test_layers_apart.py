"""Stacks taken apart and put together, and the training forward pass of both."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.core.paths import flatten, unflatten
from flamingo_jax.models import build
from flamingo_jax.models.layers_apart import Stacks
from tests.models import tiny

STACKS = Stacks(("groups", "last_group", "resampler/layers"), "language_model")
PARAMETERS = {
    "groups/cross_attention/query/w": np.arange(12.0).reshape(3, 4),
    "groups/language_model/block/w": np.arange(24.0).reshape(3, 2, 4),
    "language_model/embedding": np.arange(5.0),
    "last_group/language_model/block/w": np.arange(4.0).reshape(1, 1, 4),
    "resampler/latents": np.arange(3.0),
    "resampler/layers/layer/query/w": np.arange(10.0).reshape(2, 5),
}


def parameters() -> dict[str, dict[str, jax.Array]]:
    return unflatten({path: jnp.asarray(leaf) for path, leaf in PARAMETERS.items()})


@pytest.mark.parametrize("copy", [False, True])
def test_apart_and_together_again(copy: bool) -> None:
    apart = flatten(STACKS.take_apart(parameters(), copy=copy))
    np.testing.assert_array_equal(apart["groups_2/cross_attention/query/w"], [8, 9, 10, 11])
    np.testing.assert_array_equal(apart["groups_1/language_model_1/block/w"], [12, 13, 14, 15])
    np.testing.assert_array_equal(apart["resampler/layers_1/layer/query/w"], [5, 6, 7, 8, 9])
    assert len(apart) == 3 + 6 + 1 + 1 + 1 + 2
    together = flatten(jax.jit(STACKS.put_together)(unflatten(apart)))
    assert together.keys() == PARAMETERS.keys()
    for path, leaf in together.items():
        np.testing.assert_array_equal(leaf, PARAMETERS[path], err_msg=path)
    assert {STACKS.path_together(path) for path in apart} == PARAMETERS.keys()
    assert {STACKS.path_together(path) for path in PARAMETERS} == PARAMETERS.keys()


def test_copies_have_memory_of_their_own() -> None:
    """A jitted function that is given a layer may write into it."""
    params = parameters()
    apart = STACKS.take_apart(params, copy=True)
    jax.jit(lambda w: w + 1, donate_argnums=0)(apart["groups_0/language_model_0/block"]["w"])
    stacked = params["groups/language_model/block"]["w"]
    np.testing.assert_array_equal(stacked, PARAMETERS["groups/language_model/block/w"])


@pytest.mark.parametrize(
    "fields", [{}, {"attend_to": "all_previous_images"}, {"placement": "middle"}]
)
def test_gradients_are_those_of_stacks(fields: dict[str, Any]) -> None:
    config = tiny.model_config(num_layers=3)
    assert config.cross_attention is not None
    cross_attention = dataclasses.replace(config.cross_attention, **fields)
    config = dataclasses.replace(config, cross_attention=cross_attention)
    functions = build.build_flamingo(config)
    params = tiny.open_gates(tiny.parameters(functions.init))
    _, text, media_index = tiny.example(config)
    features_width = params["resampler/input_projection"]["w"].shape[0]
    features = np.random.default_rng(1).normal(size=(2, 3, 2, 5, features_width))

    def loss(params: Any) -> jax.Array:
        latents = functions.resample(params, jnp.asarray(features, jnp.float32))
        x_BTD, _ = functions.activations(params, text, media_index, latents)
        return jnp.sum(jnp.sin(x_BTD))

    expected, gradients = jax.jit(jax.value_and_grad(loss))(params)
    apart = functions.stacks.take_apart(params)
    found, gradients_apart = jax.jit(jax.value_and_grad(loss))(apart)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    together = flatten(functions.stacks.put_together(gradients_apart))
    assert together.keys() == flatten(gradients).keys()
    for path, gradient in flatten(gradients).items():
        np.testing.assert_allclose(together[path], gradient, rtol=1e-3, atol=1e-5, err_msg=path)
