"""Bytes of a training state on every device, from shapes and shardings alone."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax

from flamingo_jax.config import RunConfig
from flamingo_jax.core.paths import flatten
from flamingo_jax.sharding.mesh import abstract_mesh
from flamingo_jax.training.compiled_step import abstract_state
from flamingo_jax.training.optimizer import make_optimizer
from flamingo_jax.training.stages import Stage
from flamingo_jax.training.state import TrainState

BytesOfDtype = dict[str, int]
"""{dtype: bytes}, for example {"bfloat16": 1024}."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StateBytes:
    """Bytes of a state on one device, by dtype. Every device of the mesh holds as many.

    Step number and random key (12 bytes) belong to no part.

    Attributes:
      frozen: parameters that are not trained.
      trainable: parameters that are.
      optimizer: moments and counters of the optimizer.
    """

    frozen: BytesOfDtype
    trainable: BytesOfDtype
    optimizer: BytesOfDtype

    def totals(self) -> dict[str, int]:
        """{part: bytes}, over all dtypes."""
        parts = dataclasses.asdict(self)
        return {part: sum(of_dtype.values()) for part, of_dtype in parts.items()}


def state_of(config: RunConfig, stage: Stage) -> TrainState:
    """The state of a run as shapes, laid out on the config's mesh without any of its devices.

    Args:
      config: of the run.
      stage: of the run.

    Returns:
      A `TrainState` of `jax.ShapeDtypeStruct` with shardings on an abstract mesh.

    Raises:
      UserError: a parameter that the mesh does not divide; names its path.
    """
    optimizer = make_optimizer(config.optimizer, config.steps)
    return abstract_state(stage, optimizer, config.seed, abstract_mesh(config.mesh), config.mesh)


def state_bytes(state: TrainState) -> StateBytes:
    """Bytes on one device of a state's parts.

    Args:
      state: leaves have shape, dtype and sharding.
    """
    return StateBytes(
        frozen=_bytes_of_dtype(state.frozen),
        trainable=_bytes_of_dtype(state.trainable),
        optimizer=_bytes_of_dtype(state.optimizer_state),
    )


def _bytes_of_dtype(tree: Any) -> BytesOfDtype:
    totals: BytesOfDtype = {}
    for leaf in jax.tree.leaves(tree):
        size = math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        totals[str(leaf.dtype)] = totals.get(str(leaf.dtype), 0) + size
    return totals


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParameterLayout:
    """One parameter: its shape, its dtype in storage, how it is split, and whether it is trained.

    Attributes:
      spec: the mesh axes of each array axis, () where the array is whole on every device.
    """

    shape: tuple[int, ...]
    dtype: str
    spec: tuple[Any, ...]
    trained: bool


def parameter_layouts(state: TrainState) -> Mapping[str, ParameterLayout]:
    """{path: layout} of all parameters of a state, sorted by path."""
    layouts = {
        path: ParameterLayout(
            shape=tuple(leaf.shape),
            dtype=str(leaf.dtype),
            spec=tuple(leaf.sharding.spec),
            trained=trained,
        )
        for tree, trained in ((state.trainable, True), (state.frozen, False))
        for path, leaf in flatten(tree).items()
    }
    return dict(sorted(layouts.items()))
