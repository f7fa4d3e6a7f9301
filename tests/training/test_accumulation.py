"""Tests of accumulation: microbatches equal one batch, datasets add with their weights."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flamingo_jax.config import DatasetConfig
from flamingo_jax.training import accumulation
from flamingo_jax.training.state import start_state


def dataset(name: str, loss_weight: float, microbatches: int = 1) -> DatasetConfig:
    return DatasetConfig(
        name=name,
        source="toy",
        batch_size=8,
        loss_weight=loss_weight,
        max_text_length=1,
        microbatches=microbatches,
    )


def batch(seed: int, rows: int = 8) -> dict[str, jax.Array]:
    keys = jax.random.split(jax.random.key(seed), 3)
    return {
        "x": jax.random.normal(keys[0], (rows, 3)),
        "y": jax.random.normal(keys[1], (rows,)),
        "weight": jax.random.uniform(keys[2], (rows,)),
    }


PARAMS = {"a": {"w": jnp.array([0.3, -0.2, 0.5])}}


def loss_sums(params: Any, rows: Any) -> tuple[jax.Array, jax.Array]:
    errors = (jnp.tanh(rows["x"] @ params["a"]["w"]) - rows["y"]) ** 2
    return (errors * rows["weight"]).sum(), rows["weight"].sum()


def gradient_of(params: Any, rows: Any, microbatches: int) -> Any:
    return accumulation.mean_loss_gradient(loss_sums, params, rows, microbatches)


def weighted_mean(params: Any, rows: Any) -> jax.Array:
    total, weight = loss_sums(params, rows)
    return total / weight


@pytest.mark.parametrize("microbatches", [1, 2, 4, 8])
def test_microbatches_equal_one_batch(microbatches: int) -> None:
    rows = batch(0)
    loss, gradient = jax.jit(gradient_of, static_argnums=2)(PARAMS, rows, microbatches)
    expected_loss, expected = jax.value_and_grad(weighted_mean)(PARAMS, rows)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-6)
    np.testing.assert_allclose(gradient["a"]["w"], expected["a"]["w"], rtol=1e-5)


def test_batch_without_weight_has_no_gradient() -> None:
    rows = batch(0) | {"weight": jnp.zeros(8)}
    loss, gradient = gradient_of(PARAMS, rows, 2)
    assert float(loss) == 0
    np.testing.assert_array_equal(gradient["a"]["w"], 0)


def test_accumulators_are_float32_for_bfloat16_parameters() -> None:
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), PARAMS)
    _, gradient = gradient_of(params, batch(0), 4)
    assert gradient["a"]["w"].dtype == jnp.float32


def test_split_then_join_is_the_identity() -> None:
    rows = {"x": jnp.arange(24).reshape(8, 3), "y": jnp.arange(8)}
    parts = accumulation.split(rows, 4)
    assert parts["x"].shape == (4, 2, 3)
    np.testing.assert_array_equal(parts["y"][1], [1, 5])
    for key, joined in accumulation.join(parts).items():
        np.testing.assert_array_equal(joined, rows[key])


def test_update_adds_the_weighted_gradients_of_all_datasets() -> None:
    datasets = [dataset("one", 1.0), dataset("other", 0.03, microbatches=2)]
    batches = {"one": batch(1, 8), "other": batch(2, 4)}
    optimizer = optax.sgd(0.5)
    state = start_state(PARAMS, {}, optimizer, jax.random.key(0))
    new_state, metrics = accumulation.update(state, batches, datasets, gradient_of, optimizer)

    def total(params: Any) -> jax.Array:
        return weighted_mean(params, batches["one"]) + 0.03 * weighted_mean(
            params, batches["other"]
        )

    gradient = jax.grad(total)(PARAMS)["a"]["w"]
    np.testing.assert_allclose(
        new_state.trainable["a"]["w"], PARAMS["a"]["w"] - 0.5 * gradient, rtol=1e-6
    )
    np.testing.assert_allclose(metrics["gradient_norm"], jnp.linalg.norm(gradient), rtol=1e-6)
    np.testing.assert_allclose(metrics["loss/total"], total(PARAMS), rtol=1e-6)
    np.testing.assert_allclose(
        metrics["loss/other"], weighted_mean(PARAMS, batches["other"]), rtol=1e-6
    )
    assert int(new_state.step) == 1


def test_datasets_that_take_turns_are_visited_alone() -> None:
    datasets = [dataset("one", 1.0), dataset("other", 0.5, microbatches=2)]
    batches = {"one": batch(1), "other": batch(2)}
    optimizer = optax.adam(0.1)
    start = start_state(PARAMS, {}, optimizer, jax.random.key(0))
    expected = found = start
    for number in range(4):
        (turn,) = visited = datasets[number % 2 :][:1]
        one_batch = {turn.name: batches[turn.name]}
        expected, _ = accumulation.update(expected, one_batch, visited, gradient_of, optimizer)
        found, metrics = accumulation.update(found, one_batch, datasets, gradient_of, optimizer)
        assert [name for name in metrics if name.startswith("loss/")] == [
            f"loss/{turn.name}",
            "loss/total",
        ]
        np.testing.assert_array_equal(found.trainable["a"]["w"], expected.trainable["a"]["w"])
    together, _ = accumulation.update(start, batches, datasets, gradient_of, optimizer)
    assert not np.allclose(together.trainable["a"]["w"], found.trainable["a"]["w"], atol=1e-3)


@pytest.mark.parametrize("names", [(), ("others",), ("one", "others")])
def test_batches_of_no_dataset_are_refused(names: tuple[str, ...]) -> None:
    optimizer = optax.sgd(0.1)
    state = start_state(PARAMS, {}, optimizer, jax.random.key(0))
    batches = {name: batch(0) for name in names}
    with pytest.raises(ValueError, match="expected of one, other"):
        accumulation.update(
            state, batches, [dataset("one", 1), dataset("other", 1)], gradient_of, optimizer
        )
