"""Tests of schedule, decay by path and clipping, against numbers computed by hand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flamingo_jax.config import ClipGroup, OptimizerConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.training.optimizer import (
    clip_by_global_norm,
    learning_rate_schedule,
    make_optimizer,
)

ADAM = {"b1": 0.9, "b2": 0.99, "epsilon": 1e-8}


def rates(config: OptimizerConfig, steps: int) -> list[float]:
    schedule = learning_rate_schedule(config, steps)
    return [float(schedule(jnp.int32(step))) for step in range(steps)]


def test_warm_up_then_constant() -> None:
    config = OptimizerConfig(learning_rate=1.0, warmup_steps=4)
    np.testing.assert_allclose(rates(config, 7), [0.25, 0.5, 0.75, 1, 1, 1, 1])


def test_linear_decay_reaches_zero_after_the_last_step() -> None:
    config = OptimizerConfig(learning_rate=2.0, schedule="linear")
    np.testing.assert_allclose(rates(config, 4), [2.0, 1.5, 1.0, 0.5])
    assert float(learning_rate_schedule(config, 4)(jnp.int32(4))) == 0


def test_linear_decay_begins_after_the_warm_up() -> None:
    config = OptimizerConfig(learning_rate=1.0, schedule="linear", warmup_steps=2)
    np.testing.assert_allclose(rates(config, 6), [0.5, 1.0, 1.0, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("size", [0.0, 0.01, 1.0, 1e6, np.inf, np.nan])
def test_clipping_is_that_of_optax(size: float) -> None:
    rng = np.random.default_rng(0)
    gradient = {"a": {"w": jnp.asarray(rng.standard_normal((3, 4)) * size, jnp.float32)}}
    gradient["b"] = {"w": jnp.asarray(rng.standard_normal(5) * size, jnp.float32)}
    clipped, expected = (
        optax.masked(clip, {"a": True, "b": True}).update(gradient, optax.MaskedState(()))[0]
        for clip in (clip_by_global_norm(0.5), optax.clip_by_global_norm(0.5))
    )
    for ours, theirs in zip(jax.tree.leaves(clipped), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def params_of(value: float) -> dict[str, dict[str, jax.Array]]:
    return {
        "resampler/a": {"w": jnp.full((2,), value)},
        "groups/b": {"w": jnp.full((3,), value)},
    }


def updates(config: OptimizerConfig, params: Any, gradients: list[Any]) -> Any:
    """The last of a sequence of updates."""
    optimizer = make_optimizer(config, steps=10)
    state = optimizer.init(params)
    for gradient in gradients:
        update, state = optimizer.update(gradient, state, params)
    return update


def test_adamw_by_hand() -> None:
    """Two steps of Adam with bias correction, and decay times the learning rate."""
    config = OptimizerConfig(
        learning_rate=0.1, weight_decay=0.5, no_decay=(r"resampler/.*",), **ADAM
    )
    first, second, value = 3.0, -1.0, 2.0
    update = updates(config, params_of(value), [params_of(first), params_of(second)])
    mean = (0.1 * 0.9 * first + 0.1 * second) / (1 - 0.9**2)
    square = (0.01 * 0.99 * first**2 + 0.01 * second**2) / (1 - 0.99**2)
    adam = mean / (np.sqrt(square) + 1e-8)
    np.testing.assert_allclose(update["resampler/a"]["w"], -0.1 * adam, rtol=1e-5)
    np.testing.assert_allclose(update["groups/b"]["w"], -0.1 * (adam + 0.5 * value), rtol=1e-5)


def clipped_gradient(config: OptimizerConfig, params: Any, gradient: Any) -> Any:
    """The gradient that reaches Adam: its first moment after one step is (1 - b1) of it."""
    optimizer = make_optimizer(config, steps=10)
    _, state = optimizer.update(gradient, optimizer.init(params), params)
    moments = [
        part.mu
        for part in jax.tree.leaves(state, is_leaf=lambda x: hasattr(x, "mu"))
        if hasattr(part, "mu")
    ]
    (moment,) = moments
    return jax.tree.map(lambda leaf: leaf / (1 - config.b1), moment)


def test_global_norm_is_that_of_all_parameters() -> None:
    config = OptimizerConfig(learning_rate=0.1, clip_global_norm=1.0, **ADAM)
    gradient = clipped_gradient(config, params_of(0.0), params_of(2.0))
    for leaf in jax.tree.leaves(gradient):
        np.testing.assert_allclose(leaf, 1 / np.sqrt(5), rtol=1e-6)


def test_small_gradients_are_not_clipped() -> None:
    config = OptimizerConfig(learning_rate=0.1, clip_global_norm=1.0, **ADAM)
    gradient = clipped_gradient(config, params_of(0.0), params_of(0.1))
    for leaf in jax.tree.leaves(gradient):
        np.testing.assert_allclose(leaf, 0.1, rtol=1e-6)


def test_group_norm_leaves_other_parameters_alone() -> None:
    config = OptimizerConfig(
        learning_rate=0.1, global_clip=(ClipGroup(paths=(r"groups/.*",), norm=1.0),), **ADAM
    )
    gradient = clipped_gradient(config, params_of(0.0), params_of(2.0))
    np.testing.assert_allclose(gradient["groups/b"]["w"], 1 / np.sqrt(3), rtol=1e-6)
    np.testing.assert_allclose(gradient["resampler/a"]["w"], 2.0, rtol=1e-6)


def test_adaptive_clipping_by_hand() -> None:
    """AGC scales each unit (output column) of a matrix to lambda times its weights' norm."""
    config = OptimizerConfig(
        learning_rate=0.1,
        adaptive_clip=0.01,
        adaptive_clip_paths=(r"vision_encoder/.*",),
        **ADAM,
    )
    params = {
        "vision_encoder/a": {"w": jnp.array([[3.0, 0.3], [4.0, 0.4]])},
        "text_tower/b": {"w": jnp.array([[3.0, 0.3], [4.0, 0.4]])},
    }
    gradient = jax.tree.map(lambda leaf: jnp.array([[0.0, 0.0], [10.0, 0.001]]), params)
    clipped = clipped_gradient(config, params, gradient)
    np.testing.assert_allclose(
        clipped["vision_encoder/a"]["w"], [[0, 0], [0.01 * 5, 0.001]], rtol=1e-5
    )
    np.testing.assert_allclose(
        clipped["text_tower/b"]["w"], gradient["text_tower/b"]["w"], rtol=1e-5
    )


def test_expression_that_matches_nothing_is_an_error() -> None:
    config = OptimizerConfig(learning_rate=0.1, weight_decay=0.1, no_decay=(r"resampla/.*",))
    with pytest.raises(UserError, match=r"optimizer\.no_decay.*resampla"):
        make_optimizer(config, steps=10).init(params_of(1.0))
