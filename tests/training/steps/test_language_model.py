"""Tests of the language model's step: bigrams, whose optimum is known, and a tiny real model."""

from __future__ import annotations

import dataclasses
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.paths import flatten
from flamingo_jax.models import build
from flamingo_jax.training.losses import next_token_loss
from flamingo_jax.training.state import TrainState, start_state
from flamingo_jax.training.steps import language_model
from tests.models import tiny

V = 5
DATASET = DatasetConfig(name="text", source="toy", batch_size=4, loss_weight=1.0, max_text_length=6)


def bigrams(params: Any, text_BT: jax.Array, segment_BT: Any) -> tuple[jax.Array, tuple[jax.Array]]:
    """The logits of a table, times the identity."""
    del segment_BT
    return params["language_model/bigrams"]["w"][text_BT], (jnp.eye(V),)


def test_learns_the_bigrams_of_its_text() -> None:
    """Token t is always followed by t + 1; positions without weight hold the contrary."""
    text = (np.arange(6) + np.arange(4)[:, None]) % V
    weight = np.ones((4, 6), np.float32)
    text[:, 5], weight[:, 5] = text[:, 4], 0.0
    batch = {"text": text.astype(np.int32), "loss_weight": weight}
    optimizer = optax.sgd(5.0)
    params = {"language_model/bigrams": {"w": jnp.zeros((V, V))}}
    state = start_state(params, {}, optimizer, jax.random.key(0))
    functions = types.SimpleNamespace(activations=bigrams)
    step = jax.jit(language_model.make_step(functions, optimizer, [DATASET]))
    state, metrics = step(state, {"text": batch})
    np.testing.assert_allclose(metrics["loss/text"], np.log(V), rtol=1e-6)
    for _ in range(30):
        state, metrics = step(state, {"text": batch})
    assert float(metrics["loss/text"]) < 0.05
    table = state.trainable["language_model/bigrams"]["w"]
    np.testing.assert_array_equal(table.argmax(-1), (np.arange(V) + 1) % V)


def tiny_step(batch: dict[str, np.ndarray], microbatches: int = 1) -> tuple[TrainState, float]:
    """A tiny real model after one step of rate 1 without moments, and the step's loss."""
    functions = build.build_language_model(tiny.model_config(num_layers=2))
    optimizer = optax.sgd(1.0)
    state = start_state(tiny.parameters(functions.init), {}, optimizer, jax.random.key(0))
    dataset = dataclasses.replace(DATASET, microbatches=microbatches)
    step = jax.jit(language_model.make_step(functions, optimizer, [dataset]))
    state, metrics = step(state, {"text": batch})
    return state, float(metrics["loss/text"])


def test_loss_and_gradient_are_those_of_all_logits_at_once() -> None:
    functions = build.build_language_model(tiny.model_config(num_layers=2))
    params = tiny.parameters(functions.init)
    random = np.random.default_rng(0)
    text = random.integers(0, tiny.VOCABULARY_SIZE, (4, 6)).astype(np.int32)
    weight = (random.random((4, 6)) < 0.7).astype(np.float32)

    def mean_loss(params: Any) -> jax.Array:
        loss, total = next_token_loss(functions.forward(params, text), text, weight)
        return loss / total

    expected, gradient = jax.jit(jax.value_and_grad(mean_loss))(params)
    state, loss = tiny_step({"text": text, "loss_weight": weight})
    np.testing.assert_allclose(loss, expected, atol=1e-6)
    moved = flatten(state.trainable)
    for path, leaf in flatten(gradient).items():
        start = flatten(params)[path]
        np.testing.assert_allclose(moved[path], start - leaf, atol=1e-6, err_msg=path)
        if path.endswith("embedding"):
            assert np.abs(leaf).max() > 1e-3


def test_documents_of_a_row_do_not_see_each_other() -> None:
    """Two rows of two documents learn what four rows of one do, but for padding; in microbatches
    too."""
    documents = np.random.default_rng(1).integers(4, tiny.VOCABULARY_SIZE, (8, 3)).astype(np.int32)
    weight = np.tile(np.float32([0, 1, 1]), (8, 1))
    alone = {"text": documents, "loss_weight": weight}
    packed = {key: rows.reshape(4, 6) for key, rows in alone.items()}
    segment = np.tile(np.int32([1, 1, 1, 2, 2, 2]), (4, 1))
    expected, expected_loss = tiny_step(alone)
    for microbatches in (1, 2):
        state, loss = tiny_step(packed | {"segment": segment}, microbatches)
        np.testing.assert_allclose(loss, expected_loss, atol=1e-6)
        for path, leaf in flatten(expected.trainable).items():
            np.testing.assert_allclose(
                flatten(state.trainable)[path], leaf, atol=2e-6, err_msg=path
            )
    assert abs(tiny_step(packed)[1] - expected_loss) > 1e-3
