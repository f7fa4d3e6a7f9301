"""Tests of the language model's step with a bigram model, whose optimum is known."""

from __future__ import annotations

import types

import jax
import jax.numpy as jnp
import numpy as np
import optax

from flamingo_jax.config import DatasetConfig
from flamingo_jax.training.state import start_state
from flamingo_jax.training.steps import language_model

V = 5
FUNCTIONS = types.SimpleNamespace(
    forward=lambda params, text_BT: params["language_model/bigrams"]["w"][text_BT]
)
DATASET = DatasetConfig(name="text", source="toy", batch_size=4, loss_weight=1.0, max_text_length=6)


def test_learns_the_bigrams_of_its_text() -> None:
    """Token t is always followed by t + 1; positions without weight hold the contrary."""
    text = (np.arange(6) + np.arange(4)[:, None]) % V
    weight = np.ones((4, 6), np.float32)
    text[:, 5], weight[:, 5] = text[:, 4], 0.0
    batch = {"text": text.astype(np.int32), "loss_weight": weight}
    optimizer = optax.sgd(5.0)
    params = {"language_model/bigrams": {"w": jnp.zeros((V, V))}}
    state = start_state(params, {}, optimizer, jax.random.key(0))
    step = jax.jit(language_model.make_step(FUNCTIONS, optimizer, [DATASET]))
    state, metrics = step(state, {"text": batch})
    np.testing.assert_allclose(metrics["loss/text"], np.log(V), rtol=1e-6)
    for _ in range(30):
        state, metrics = step(state, {"text": batch})
    assert float(metrics["loss/text"]) < 0.05
    table = state.trainable["language_model/bigrams"]["w"]
    np.testing.assert_array_equal(table.argmax(-1), (np.arange(V) + 1) % V)
