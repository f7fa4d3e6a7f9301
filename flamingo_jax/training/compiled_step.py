"""The step of a stage, laid out on a mesh.

`loop.train` runs it, and `planning.compiled` compiles it for machines that are not there.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from flamingo_jax.config import MeshConfig, RunConfig
from flamingo_jax.core.host_memory import give_back_freed_memory, keep_freed_memory
from flamingo_jax.core.paths import partition
from flamingo_jax.sharding.rules import batch_sharding, sharded_over_data, state_shardings
from flamingo_jax.training.accumulation import Batch, Metrics, unsharded
from flamingo_jax.training.optimizer import learning_rate_schedule
from flamingo_jax.training.stages import Stage, Step
from flamingo_jax.training.state import TrainState, start_state


def initial_state(
    stage: Stage, optimizer: optax.GradientTransformation, seed: int
) -> TrainState:
    """The state of step 0, all parameters with their initial values; to be traced.

    Args:
      stage: its parameters.
      optimizer: over the trainable ones.
      seed: of the run.
    """
    rng = jax.random.key(seed)
    trainable, frozen = partition(stage.init(rng), stage.is_trainable)
    return start_state(trainable, frozen, optimizer, rng)


def abstract_state(
    stage: Stage,
    optimizer: optax.GradientTransformation,
    seed: int,
    mesh: jax.sharding.Mesh | jax.sharding.AbstractMesh,
    layout: MeshConfig | None = None,
) -> TrainState:
    """Shapes, dtypes and shardings of a stage's state, without any array.

    Args:
      stage: its parameters.
      optimizer: over the trainable ones.
      seed: of the run.
      mesh: of the run; an abstract one will do to work out sizes.
      layout: what is split beside weights and batch; the defaults of `MeshConfig` if not given.

    Returns:
      A `TrainState` of `ShapeDtypeStruct` with shardings.
    """
    abstract = jax.eval_shape(functools.partial(initial_state, stage, optimizer, seed))
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        abstract,
        state_shardings(mesh, abstract, layout),
    )


def jit_step(
    config: RunConfig,
    stage: Stage,
    optimizer: optax.GradientTransformation,
    abstract: TrainState,
    mesh: jax.sharding.Mesh,
) -> Callable[..., tuple[TrainState, Metrics]]:
    """The jitted step of a stage.

    Args:
      config: of the run.
      stage: what is trained.
      optimizer: over the trainable parameters.
      abstract: the state's shapes and shardings, as of `abstract_state`.
      mesh: of the run.

    Returns:
      `step(state, batches) -> (state, metrics)`; the old state's memory is given to the new one.
    """
    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    shard = unsharded
    if config.mesh.shard_optimizer and mesh.size > 1:
        over_data = sharded_over_data(mesh, abstract.trainable)
        shard = functools.partial(jax.lax.with_sharding_constraint, shardings=over_data)
    step = _with_learning_rate(stage.make_step(optimizer, shard), config)

    def step_on_mesh(state: TrainState, batches: Mapping[str, Batch]) -> tuple[TrainState, Metrics]:
        # The mesh that `sharding.logical.constrain` lays activations out on.
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return step(state, batches)

    return jax.jit(
        step_on_mesh,
        in_shardings=(shardings, batch_sharding(mesh)),
        out_shardings=(shardings, None),
        donate_argnums=0,
    )


def compiled_once(jitted: Any, name: str) -> Callable[..., tuple[TrainState, Metrics]]:
    """A jitted step, compiled when its first batches are there, and the compiler's memory freed.

    On CPU, the memory of a step is kept for the next one. Where the datasets take turns, each has a
    program of its own.

    Args:
      jitted: of `jit_step`.
      name: of the stage, for the line that says how long it took.

    Returns:
      `step(state, batches) -> (state, metrics)`.
    """
    compiled: dict[tuple[str, ...], Any] = {}

    def step(
        state: TrainState, batches: Mapping[str, Mapping[str, jax.Array]]
    ) -> tuple[TrainState, Metrics]:
        names = tuple(sorted(batches))
        if names not in compiled:
            start = time.monotonic()
            compiled[names] = jitted.lower(state, batches).compile()
            give_back_freed_memory()
            if jax.default_backend() == "cpu":
                keep_freed_memory()
            print(f"{name}: compiled the step in {time.monotonic() - start:.0f}s", flush=True)
        result: tuple[TrainState, Metrics] = compiled[names](state, batches)
        return result

    return step


def _with_learning_rate(step: Step, config: RunConfig) -> Step:
    """Adds the update's learning rate to the metrics, computed where it is used: on the device."""
    schedule = learning_rate_schedule(config.optimizer, config.steps)

    def step_with_rate(
        state: TrainState, batches: Mapping[str, Batch]
    ) -> tuple[TrainState, Metrics]:
        new_state, metrics = step(state, batches)
        return new_state, metrics | {"learning_rate": schedule(state.step)}

    return step_with_rate
