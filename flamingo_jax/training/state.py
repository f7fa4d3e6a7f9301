"""The state that a training step turns into the next one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import optax

from flamingo_jax.core.paths import Params


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainState:
    """Everything that a step reads and writes, as one pytree.

    Trainable and frozen parameters are trees apart (disjoint paths, `merge` joins them): only the
    trainable tree is differentiated, clipped and given optimizer moments, so that frozen weights
    exist once, in their storage precision, and leave every step as they entered it.

    Attributes:
      step: int32 scalar, the updates made so far.
      trainable: parameters that are updated, float32.
      frozen: parameters that are not; may be empty.
      optimizer_state: of the optax transformation, over the trainable tree.
      rng: key of the run. A step derives its own key by folding the step in and never replaces
        this one, so that a resumed run draws what an unbroken one draws.
    """

    step: jax.Array
    trainable: Params
    frozen: Params
    optimizer_state: optax.OptState
    rng: jax.Array


def start_state(
    trainable: Params,
    frozen: Params,
    optimizer: optax.GradientTransformation,
    rng: jax.Array,
) -> TrainState:
    """The state before the first step (pure, to be traced under `jit` or `eval_shape`)."""
    return TrainState(
        step=jax.numpy.zeros((), jax.numpy.int32),
        trainable=trainable,
        frozen=frozen,
        optimizer_state=optimizer.init(trainable),
        rng=rng,
    )


def map_parameters(
    function: Callable[[Params], Params], state: TrainState
) -> TrainState:
    """Applies a function to every tree of parameters of a state, the optimizer's among them."""

    def is_parameters(node: Any) -> bool:
        return isinstance(node, dict)

    return dataclasses.replace(
        state,
        trainable=function(state.trainable),
        frozen=function(state.frozen),
        optimizer_state=jax.tree.map(
            lambda node: function(node) if is_parameters(node) else node,
            state.optimizer_state,
            is_leaf=is_parameters,
        ),
    )


def without_frozen(state: TrainState) -> TrainState:
    """The part of a state that its checkpoints hold; frozen trees are saved once, by hash."""
    return dataclasses.replace(state, frozen={})


def with_frozen(state: TrainState, frozen: Any) -> TrainState:
    """The inverse of `without_frozen`."""
    return dataclasses.replace(state, frozen=frozen)
