"""The training loop of all three stages.

What differs between the stages (parameters, step, what is frozen and where it comes from) is a
`Stage`; the rest reads from top to bottom in `train`: mesh, shapes, restore or start, loop, save.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import jax
import numpy as np
import optax

from flamingo_jax.checkpoint import compatibility
from flamingo_jax.checkpoint.checkpointer import Checkpointer
from flamingo_jax.checkpoint.frozen import load_frozen, save_frozen
from flamingo_jax.config import RunConfig, to_json, to_text
from flamingo_jax.core.errors import UserError
from flamingo_jax.core.files import prepare_folder, write_atomic
from flamingo_jax.core.paths import Params, flatten, partition, unflatten
from flamingo_jax.models.layers_apart import Stacks
from flamingo_jax.sharding.mesh import make_mesh
from flamingo_jax.sharding.rules import rows_of_process, to_global
from flamingo_jax.training.accumulation import Metrics
from flamingo_jax.training.compiled_step import abstract_state, compiled_once, jit_step
from flamingo_jax.training.interruption import FINISHED_EXIT_CODE, StopRequest
from flamingo_jax.training.metrics_log import HostMetrics, MetricsLog
from flamingo_jax.training.optimizer import learning_rate_schedule, make_optimizer
from flamingo_jax.training.prefetch import Batches, Positions, Prefetcher
from flamingo_jax.training.stages import Stage
from flamingo_jax.training.state import (
    TrainState,
    map_parameters,
    start_state,
    with_frozen,
    without_frozen,
)
from flamingo_jax.training.trained import CHECKPOINT_FOLDER, CONFIG_NAME, FROZEN_FOLDER


class OpenRows(Protocol):
    """Opens a dataset at a position, for the rows of every batch that this process makes."""

    def __call__(self, start: int, *, rows: range) -> Batches:
        """Iterates over (host batch, position after it), beginning at position `start`."""


def train(
    config: RunConfig,
    workdir: str | Path,
    stage: Stage,
    datasets: Mapping[str, OpenRows],
    data_metrics: HostMetrics = dict,
) -> int:
    """Trains a stage to its last step, going on from its last checkpoint if there is one.

    Args:
      config: of the run.
      workdir: holds all stages; this one writes to `WORKDIR/<stage>` and `WORKDIR/frozen`.
      stage: what is trained.
      datasets: how to open each dataset of `config.data`, by its name.
      data_metrics: counts of the datasets, to be written beside the losses.

    Returns:
      The exit code: 0 when the run is finished, 130 or 42 when Ctrl-C or SIGTERM stopped it
      after saving.

    Raises:
      UserError: unwritable workdir, checkpoint of another config, diverged loss, ...
    """
    workdir = prepare_folder(workdir)
    folder = prepare_folder(workdir / stage.name)
    checkpoints = Checkpointer(folder / CHECKPOINT_FOLDER, config.checkpoint.keep)
    with StopRequest() as stop, checkpoints:
        latest = checkpoints.latest()
        if latest is not None and latest >= config.steps:
            print(f"{stage.name}: finished at step {latest} of {config.steps} in {folder}")
            return FINISHED_EXIT_CODE

        mesh = make_mesh(config.mesh)
        stacks = _stacks_to_take_apart(config, stage, mesh)
        path_together = stacks.path_together if stacks else str
        optimizer = make_optimizer(config.optimizer, config.steps, path_together)
        abstract = abstract_state(stage, optimizer, config.seed, mesh, config.mesh)
        if latest is None:
            start = _start(config, workdir, stage, optimizer, abstract)
        else:
            start = _resume(config, workdir, checkpoints, latest, abstract)
        print(_describe_start(config, stage, folder, start, resumed=latest is not None))
        _write_config(folder, config)
        if stacks:
            abstract = _take_apart(start, stacks)

        run_step = compiled_once(jit_step(config, stage, optimizer, abstract, mesh), stage.name)
        opened = {
            dataset.name: functools.partial(
                datasets[dataset.name], rows=rows_of_process(mesh, dataset.batch_size)
            )
            for dataset in config.data
        }
        place = functools.partial(to_global, mesh)
        visits = (
            [dataset.name for dataset in config.datasets_of_step(step)]
            for step in itertools.count(start.step)
        )
        with Prefetcher(opened, start.positions, place=place, visits=visits) as prefetcher:
            log = MetricsLog(
                folder,
                start_step=start.step,
                total_steps=config.steps,
                every_steps=config.log_every_steps,
                datasets=config.data,
                host_metrics=lambda: {
                    **data_metrics(),
                    "data/seconds_waited": prefetcher.seconds_waited,
                },
            )
            return _loop(config, folder, start, run_step, prefetcher, log, checkpoints, stop)


@dataclasses.dataclass(kw_only=True)
class _Run:
    """Where a run stands: its state, and what its next checkpoint says beside the arrays.

    With `stacks`, the state's layers are apart; those of its checkpoints never are.
    """

    state: TrainState
    step: int
    positions: Positions
    frozen_hash: str
    stacks: Stacks | None = None


def _stacks_to_take_apart(
    config: RunConfig, stage: Stage, mesh: jax.sharding.Mesh
) -> Stacks | None:
    """The stacks whose layers the run has apart, if any.

    Raises:
      UserError: there are none in this stage, or several devices.
    """
    if not config.model.layers_apart:
        return None
    if stage.stacks is None:
        raise UserError(
            f"model.layers_apart is true in stage {stage.name}, which trains stacks: leave it false"
        )
    if mesh.size > 1:
        raise UserError(
            f"model.layers_apart is true on {mesh.size} devices: expected one, or leave it false"
        )
    return stage.stacks


def _take_apart(run: _Run, stacks: Stacks) -> TrainState:
    """Takes the layers of a run's state apart; returns its new shapes and shardings."""
    run.stacks = stacks
    run.state = map_parameters(functools.partial(stacks.take_apart, copy=True), run.state)
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), run.state
    )


def _start(
    config: RunConfig,
    workdir: Path,
    stage: Stage,
    optimizer: optax.GradientTransformation,
    abstract: TrainState,
) -> _Run:
    """The state of step 0: stored parameters where the stage has them, else initial ones."""
    wanted = flatten(abstract.trainable) | flatten(abstract.frozen)
    stored = flatten(stage.load_parameters(unflatten(wanted)))
    frozen = unflatten({path: stored[path] for path in flatten(abstract.frozen)})

    def initial(kept: dict[str, jax.Array]) -> TrainState:
        rng = jax.random.key(config.seed)
        # Initial values that stored ones replace are never used: XLA does not compute them.
        trainable, _ = partition(stage.init(rng), stage.is_trainable)
        trainable = unflatten(flatten(trainable) | kept)
        return start_state(trainable, {}, optimizer, rng)

    kept = {path: leaf for path, leaf in stored.items() if stage.is_trainable(path)}
    shardings = jax.tree.map(lambda leaf: leaf.sharding, without_frozen(abstract))
    # The initial values are computed once: on CPU the compiler's time is all that counts (15 s
    # against 5 s for the quickstart's two towers).
    on_cpu = jax.default_backend() == "cpu"
    options = {"xla_backend_optimization_level": 0} if on_cpu else None
    state = jax.jit(initial, out_shardings=shardings, compiler_options=options)(kept)
    return _Run(
        state=with_frozen(state, frozen),
        step=0,
        positions={dataset.name: 0 for dataset in config.data},
        frozen_hash=save_frozen(workdir / FROZEN_FOLDER, frozen) if frozen else "",
    )


def _resume(
    config: RunConfig, workdir: Path, checkpoints: Checkpointer, step: int, abstract: TrainState
) -> _Run:
    """The state of a checkpoint, after a check that it belongs to this config."""
    metadata = checkpoints.metadata(step)
    ignored = list(compatibility.MAY_DIFFER)
    ignored += [
        f"data[{index}].{field}"
        for index in range(len(config.data))
        for field in compatibility.MAY_DIFFER_IN_DATASETS
    ]
    if config.optimizer.schedule != "constant":
        ignored.remove("steps")  # The learning rate of every step follows from their number.
    compatibility.check_config(metadata["config"], json.loads(to_json(config)), ignored)
    state, metadata = checkpoints.restore(step, without_frozen(abstract))
    frozen: Params = {}
    if metadata["frozen"]:
        frozen = load_frozen(workdir / FROZEN_FOLDER, metadata["frozen"], abstract.frozen)
    return _Run(
        state=with_frozen(state, frozen),
        step=step,
        positions=metadata["data"],
        frozen_hash=metadata["frozen"],
    )


def _loop(
    config: RunConfig,
    folder: Path,
    run: _Run,
    run_step: Callable[..., tuple[TrainState, Metrics]],
    prefetcher: Prefetcher,
    log: MetricsLog,
    checkpoints: Checkpointer,
    stop: StopRequest,
) -> int:
    """Steps until the last one or until a stop is asked for, and saves; returns the exit code."""
    saved = run.step
    try:
        while run.step < config.steps and not stop:
            batches, run.positions = prefetcher.next()
            run.state, metrics = run_step(run.state, batches)
            run.step += 1
            log.push(run.step, metrics)
            if run.step % config.checkpoint.every_steps == 0:
                saved = _save(config, run, log, checkpoints)
        if saved != run.step:
            saved = _save(config, run, log, checkpoints)
        checkpoints.wait()
    finally:
        log.close()
    if stop.exit_code is not None:
        print(f"stopped at step {saved}; start the same command again to go on from there")
        return stop.exit_code
    print(f"finished at step {saved} in {folder}")
    return FINISHED_EXIT_CODE


def _save(config: RunConfig, run: _Run, log: MetricsLog, checkpoints: Checkpointer) -> int:
    """Starts saving the run, once the loss of its last step is known to be finite.

    Returns:
      The step that is saved.
    """
    log.drain()
    metadata = {
        "config": json.loads(to_json(config)),
        "data": run.positions,
        "frozen": run.frozen_hash,
    }
    state = without_frozen(run.state)
    if run.stacks:
        state = map_parameters(run.stacks.put_together, state)
    checkpoints.save(run.step, state, metadata)
    return run.step


def _write_config(folder: Path, config: RunConfig) -> None:
    write_atomic(folder / CONFIG_NAME, to_json(config))
    write_atomic(folder / "config.txt", to_text(config))


def _describe_start(
    config: RunConfig, stage: Stage, folder: Path, run: _Run, *, resumed: bool
) -> str:
    """What the run starts from, exactly, for the user to read."""
    trainable = _count(run.state.trainable)
    lines = [
        f"{stage.name}: {trainable:,} parameters to train, {_count(run.state.frozen):,} frozen"
        + (f" (content hash {run.frozen_hash})" if run.frozen_hash else "")
    ]
    if resumed:
        rate = learning_rate_schedule(config.optimizer, config.steps)(np.int32(run.step))
        positions = ", ".join(f"{name} {position}" for name, position in run.positions.items())
        lines.append(
            f"{stage.name}: resuming at step {run.step} of {config.steps} from"
            f" {folder / CHECKPOINT_FOLDER / str(run.step)}; learning rate {float(rate):.3g};"
            f" data positions: {positions}"
        )
    else:
        lines.append(f"{stage.name}: starting at step 0 of {config.steps} in {folder}")
    return "\n".join(lines)


def _count(params: Params) -> int:
    return sum(leaf.size for leaf in flatten(params).values())
