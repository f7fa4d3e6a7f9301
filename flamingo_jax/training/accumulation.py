"""Gradients accumulated over microbatches and datasets, then one update.

The gradient of a step is `sum_m lambda_m * grad(loss_m)`, loss_m the weighted mean over dataset m's
batch (paper, section 4.1.4: accumulating over all datasets beats alternating between them by 7.8
points). Sums and weights of microbatches are kept apart until the end, so that a batch gives the
same gradient however it is cut. All accumulators are float32.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.paths import Params
from flamingo_jax.training.state import TrainState

Batch = Mapping[str, jax.Array]
Metrics = dict[str, jax.Array]
LossSums = Callable[[Params, Batch], tuple[jax.Array, jax.Array]]
"""(trainable, batch) -> (sum of weighted losses, sum of weights), float32 scalars."""
LossGradient = Callable[[Params, Batch, int], tuple[jax.Array, Params]]
"""(trainable, batch, microbatches) -> (mean loss of the whole batch, its gradient)."""
Shard = Callable[[Params], Params]
"""Lays a tree of trainable parameters, or of their gradients, out as the optimizer state is."""


def unsharded(tree: Params) -> Params:
    """The `Shard` of a state in which every device holds all moments of its parameters."""
    return tree


def split(batch: Any, microbatches: int) -> Any:
    """Cuts a batch into microbatches.

    Args:
      batch: a pytree of arrays [B, ...].
      microbatches: m, a divisor of B.

    Returns:
      The tree with arrays [m, B/m, ...]; microbatch i holds rows i, i + m, i + 2m, ... Taking every
      m-th row keeps each device's rows on that device when B is split over devices.
    """
    return jax.tree.map(
        lambda x: x.reshape(x.shape[0] // microbatches, microbatches, *x.shape[1:]).swapaxes(0, 1),
        batch,
    )


def join(batch: Any) -> Any:
    """The inverse of `split`: arrays [m, B/m, ...] to [B, ...] in the rows' original order."""
    return jax.tree.map(
        lambda x: x.swapaxes(0, 1).reshape(x.shape[0] * x.shape[1], *x.shape[2:]), batch
    )


def mean_loss_gradient(
    loss_sums: LossSums,
    trainable: Params,
    batch: Batch,
    microbatches: int,
    shard: Shard = unsharded,
) -> tuple[jax.Array, Params]:
    """Mean loss of one dataset's batch and its gradient, one microbatch at a time.

    Args:
      loss_sums: a loss that is a sum over examples (it must not mix rows of the batch).
      trainable: the parameters to differentiate.
      batch: arrays [B, ...].
      microbatches: parts that B is cut into; memory falls, the result stays.
      shard: layout of the gradient, reduced and scattered after each microbatch.

    Returns:
      (float32 scalar, float32 gradient tree); both 0 where no example has weight.
    """
    if microbatches == 1:
        # The whole weight is known before the backward pass, which can carry it: one pass less
        # over the gradient.
        loss, backward, weight = jax.vjp(lambda p: loss_sums(p, batch), trainable, has_aux=True)
        scale = _inverse(weight)
        (gradient,) = backward(scale)
        return loss * scale, jax.tree.map(lambda g: g.astype(jnp.float32), shard(gradient))

    gradient_of_sum = jax.value_and_grad(loss_sums, has_aux=True)

    def add(sums: Any, microbatch: Batch) -> tuple[Any, None]:
        (loss, weight), gradient = gradient_of_sum(trainable, microbatch)
        terms = (loss, weight, shard(gradient))
        return jax.tree.map(lambda total, x: total + x.astype(jnp.float32), sums, terms), None

    start = (jnp.float32(0), jnp.float32(0), shard(zeros_float32(trainable)))
    (loss, weight, gradient), _ = jax.lax.scan(add, start, split(batch, microbatches))
    scale = _inverse(weight)
    return loss * scale, jax.tree.map(lambda g: g * scale, gradient)


def _inverse(weight: jax.Array) -> jax.Array:
    """1 / weight; 1 where no example has weight, so that nothing is divided by 0."""
    return 1.0 / jnp.where(weight > 0, weight, 1.0)


def zeros_float32(tree: Any) -> Any:
    """Zeros of the leaves' shapes in float32, the start of an accumulation."""
    return jax.tree.map(lambda x: jnp.zeros(x.shape, jnp.float32), tree)


def update(
    state: TrainState,
    batches: Mapping[str, Batch],
    datasets: Sequence[DatasetConfig],
    loss_gradient: LossGradient,
    optimizer: optax.GradientTransformation,
    shard: Shard = unsharded,
) -> tuple[TrainState, Metrics]:
    """One update from the batches of all datasets, or of those whose turn it is.

    Args:
      state: before the update.
      batches: one batch for every dataset that this update visits, by its name. All of them, as the
        paper does it, or a single one: datasets that take turns, update by update, are the ablation
        "round robin" (table 3 (ii)).
      datasets: name, loss_weight (lambda) and microbatches of each dataset, in the order in which
        the gradients are added (fixed, so that a run repeats bit for bit).
      loss_gradient: mean loss and gradient of one dataset's batch.
      optimizer: the transformation of the accumulated gradient.
      shard: layout of gradients and moments (ZeRO-1). Every device then updates its part of the
        parameters; the step's output layout has the parts gathered, once a step.

    Returns:
      (state after the update with `frozen` and `rng` untouched, metrics): float32 scalars
      "loss/<dataset>" of those visited, "loss/total" (weighted by lambda) and "gradient_norm"
      (before clipping).

    Raises:
      ValueError: no batch, or one of a dataset that is not among `datasets`; while tracing.
    """
    visited = [dataset for dataset in datasets if dataset.name in batches]
    if not visited or len(visited) < len(batches):
        names = ", ".join(dataset.name for dataset in datasets)
        raise ValueError(f"batches of {', '.join(batches) or 'no dataset'}: expected of {names}")
    gradient, total, metrics = shard(zeros_float32(state.trainable)), jnp.float32(0), {}
    for dataset in visited:
        loss, term = loss_gradient(state.trainable, batches[dataset.name], dataset.microbatches)
        total += dataset.loss_weight * loss
        gradient = jax.tree.map(
            lambda g, t, w=dataset.loss_weight: g + w * t, gradient, shard(term)
        )
        metrics[f"loss/{dataset.name}"] = loss
    trainable = shard(state.trainable)
    updates, optimizer_state = optimizer.update(gradient, state.optimizer_state, trainable)
    metrics["loss/total"] = total
    metrics["gradient_norm"] = optax.tree.norm(gradient)
    state = dataclasses.replace(
        state,
        step=state.step + 1,
        trainable=optax.apply_updates(trainable, updates),
        optimizer_state=optimizer_state,
    )
    return state, metrics
