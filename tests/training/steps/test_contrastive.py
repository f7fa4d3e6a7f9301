"""Tests of the contrastive step: one softmax per dataset, microbatches that see all rows."""

from __future__ import annotations

import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flamingo_jax.config import DatasetConfig
from flamingo_jax.training.state import TrainState, start_state
from flamingo_jax.training.steps import contrastive

B, V, E = 8, 11, 5


def unit(x: jax.Array) -> jax.Array:
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


def forward(params: Any, media_BHWC: jax.Array, text_BT: jax.Array) -> Any:
    color_BC = media_BHWC.astype(jnp.float32).mean((1, 2)) / 255
    image_BE = unit(jnp.sin(color_BC @ params["vision_encoder/a"]["w"]))
    text_BE = unit(params["text_tower/b"]["w"][text_BT].mean(1))
    return image_BE, text_BE, jnp.exp(params["two_tower"]["log_inverse_temperature"])


FUNCTIONS = types.SimpleNamespace(forward=forward)


def make_state(optimizer: optax.GradientTransformation) -> TrainState:
    keys = jax.random.split(jax.random.key(0))
    params = {
        "vision_encoder/a": {"w": 3 * jax.random.normal(keys[0], (3, E))},
        "text_tower/b": {"w": jax.random.normal(keys[1], (V, E))},
        "two_tower": {"log_inverse_temperature": jnp.array(1.0)},
    }
    return start_state(params, {}, optimizer, jax.random.key(1))


def make_batch(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "media": random.integers(0, 256, (B, 1, 1, 3, 3, 3), dtype=np.uint8),
        "text": random.integers(0, V, (B, 4), dtype=np.int32),
    }


def dataset(name: str, microbatches: int = 1) -> DatasetConfig:
    return DatasetConfig(
        name=name,
        source="toy",
        batch_size=B,
        loss_weight=1.0,
        max_text_length=4,
        microbatches=microbatches,
    )


def loss_by_hand(params: Any, batch: dict[str, np.ndarray], smoothing: float) -> float:
    """Sum of both directions' cross-entropies over the batch of one dataset."""
    image_BE, text_BE, beta = forward(params, batch["media"][:, 0, 0], batch["text"])
    logits = np.asarray(beta * image_BE @ text_BE.T, np.float64)
    targets = np.eye(B) * (1 - smoothing) + smoothing / B
    total = 0.0
    for scores in (logits, logits.T):
        log_p = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        total -= (targets * log_p).sum() / B
    return total


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_each_dataset_has_its_own_softmax(smoothing: float) -> None:
    optimizer = optax.sgd(0.1)
    state = make_state(optimizer)
    batches = {"noisy": make_batch(0), "clean": make_batch(1)}
    datasets = [dataset("noisy"), dataset("clean")]
    step = contrastive.make_step(FUNCTIONS, optimizer, datasets, smoothing)
    _, metrics = jax.jit(step)(state, batches)
    for name, batch in batches.items():
        expected = loss_by_hand(state.trainable, batch, smoothing)
        np.testing.assert_allclose(metrics[f"loss/{name}"], expected, rtol=1e-5)


@pytest.mark.parametrize("microbatches", [2, 4, 8])
def test_microbatches_equal_one_batch(microbatches: int) -> None:
    """The softmax still compares every row with all B rows, not with its microbatch."""
    optimizer = optax.sgd(0.5)
    state = make_state(optimizer)
    batches = {"noisy": make_batch(0)}
    whole, metrics = jax.jit(contrastive.make_step(FUNCTIONS, optimizer, [dataset("noisy")]))(
        state, batches
    )
    parts, part_metrics = jax.jit(
        contrastive.make_step(FUNCTIONS, optimizer, [dataset("noisy", microbatches)])
    )(state, batches)
    np.testing.assert_allclose(metrics["loss/noisy"], part_metrics["loss/noisy"], rtol=1e-5)
    for one, other in zip(
        jax.tree.leaves(whole.trainable), jax.tree.leaves(parts.trainable), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_inverse_temperature_is_logged_and_trained() -> None:
    optimizer = optax.sgd(0.5)
    step = contrastive.make_step(FUNCTIONS, optimizer, [dataset("noisy")])
    state, metrics = jax.jit(step)(make_state(optimizer), {"noisy": make_batch(0)})
    log_beta = float(state.trainable["two_tower"]["log_inverse_temperature"])
    assert log_beta != 1.0
    np.testing.assert_allclose(metrics["inverse_temperature"], np.exp(log_beta), rtol=1e-6)
