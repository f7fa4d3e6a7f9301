"""Compiles the complete train step of a config for devices that are not there.

From shapes alone: state and batches are `ShapeDtypeStruct`s with shardings, and the step is the
very function that `training.loop.train` runs.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

from flamingo_jax.config import RunConfig
from flamingo_jax.core.paths import flatten
from flamingo_jax.planning.collectives import (
    Collective,
    GatheredWeight,
    find_collectives,
    gathered_frozen,
)
from flamingo_jax.planning.hlo_text import count_runs, parse_program
from flamingo_jax.planning.topology import Topology
from flamingo_jax.planning.traffic import LargeArray, largest_arrays, memory_traffic
from flamingo_jax.sharding.mesh import make_mesh
from flamingo_jax.training.batches import abstract_batches
from flamingo_jax.training.compiled_step import abstract_state, jit_step
from flamingo_jax.training.optimizer import make_optimizer
from flamingo_jax.training.stages import make_stage
from flamingo_jax.training.state import TrainState

_OUT_OF_MEMORY = "RESOURCE_EXHAUSTED"
_UNITS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE = r"([\d.]+)([BKMGT]?)"
_USED_OF = re.compile(rf"Used {_SIZE} of {_SIZE} hbm")
_TEMPORARIES = re.compile(rf"temporaries \({_SIZE}\) exceeds available HBM \({_SIZE}\)")

LEAST_EFFORT = -1.0
"""The least of the compiler's efforts for a fast program."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes of a device's memory that a step needs, and the limit.

    Attributes:
      arguments: the state and the batches.
      temporaries: what is there only while the step runs.
      peak: the most that is in use at one time.
      limit: what a program may use.
    """

    arguments: int
    temporaries: int
    peak: int
    limit: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompiledStep:
    """What the compiler said of a step.

    Attributes:
      fits: whether the step's memory is within the limit.
      memory: of one device.
      host_memory_bytes: the largest this process has been.
      lower_seconds: of tracing the step and handing it to the compiler.
      compile_seconds: of the compiler.
      collectives: of the program; none if it does not fit.
      largest: results that take most memory; by the compiler's own list if it does not fit.
      traffic_bytes: that one device reads and writes in a step; 0 if it does not fit.
      gathered: frozen parameters that are gathered.
      unknown_loops: loops that count as one turn because their number of turns is not known.
      refusal: the compiler's words if it does not fit.
      effort: of the compiler, see `compile_step`.
    """

    fits: bool
    memory: Memory
    host_memory_bytes: int
    lower_seconds: float = 0.0
    compile_seconds: float = 0.0
    collectives: tuple[Collective, ...] = ()
    largest: tuple[LargeArray, ...] = ()
    traffic_bytes: int = 0
    gathered: tuple[GatheredWeight, ...] = ()
    unknown_loops: tuple[str, ...] = ()
    refusal: str = ""
    effort: float = 0.0


def compile_step(
    config: RunConfig,
    topology: Topology,
    devices: Sequence[jax.Device],
    report: Callable[[str], None] | None = None,
    effort: float = LEAST_EFFORT,
) -> CompiledStep:
    """Compiles one update of a config's stage: all datasets, all parts of the model.

    Args:
      config: resolved; `config.mesh` has as many devices as the topology.
      topology: that the devices belong to.
      devices: of `topology.devices`.
      report: takes a line about what is done and what comes next; None for silence.
      effort: of the TPU's compiler for a fast program, from `LEAST_EFFORT` to 1; 0 is what a run
        has. Less of it takes a third of the time, and finds programs that need a little more
        memory.

    Returns:
      What is known of the program. Nothing was run and no array was made.

    Raises:
      UserError: a size that the mesh does not divide.
    """
    start = time.perf_counter()
    mesh = make_mesh(config.mesh, devices)
    stage = make_stage(config, workdir=os.curdir)
    optimizer = make_optimizer(config.optimizer, config.steps)
    state = abstract_state(stage, optimizer, config.seed, mesh, config.mesh)
    batches = abstract_batches(config, mesh)
    limit = topology.chip.hbm_bytes or _host_memory() // topology.num_chips
    step: Any = jit_step(config, stage, optimizer, state, mesh)
    lowered = step.lower(state, batches)
    lower_seconds = time.perf_counter() - start
    if report is not None:
        report(f"traced and lowered in {lower_seconds:.0f} s; compiling for {topology.name}")
    compiled, refusal = None, ""
    is_tpu = devices[0].platform == "tpu"
    try:
        compiled = lowered.compile(
            compiler_options={"exec_time_optimization_effort": effort} if is_tpu else None
        )
    except jax.errors.JaxRuntimeError as error:
        refusal = str(error)
        if _OUT_OF_MEMORY not in refusal:
            raise
    compile_seconds = time.perf_counter() - start - lower_seconds
    if compiled is None:
        described = _refused(refusal, _device_bytes((state, batches)), limit)
    else:
        described = _described(compiled, state, mesh, limit)
    return dataclasses.replace(
        described,
        lower_seconds=lower_seconds,
        compile_seconds=compile_seconds,
        effort=effort if is_tpu else 0.0,
    )


def _described(
    compiled: Any, state: TrainState, mesh: jax.sharding.Mesh, limit: int
) -> CompiledStep:
    """Reads a program's memory and text."""
    statistics = compiled.memory_analysis()
    arguments, temporaries = statistics.argument_size_in_bytes, statistics.temp_size_in_bytes
    new = statistics.output_size_in_bytes - statistics.alias_size_in_bytes
    # The CPU back end's own peak leaves out temporaries; the sum is right for it, and for the TPU
    # an upper bound that the compiler's peak is below.
    peak = arguments + temporaries + new
    if mesh.devices.flat[0].platform == "tpu" and statistics.peak_memory_in_bytes:
        peak = statistics.peak_memory_in_bytes
    program = parse_program(compiled.as_text())
    runs = count_runs(program)
    found = find_collectives(program, tuple(mesh.shape.items()), runs)
    return CompiledStep(
        fits=peak <= limit,
        memory=Memory(arguments=arguments, temporaries=temporaries, peak=peak, limit=limit),
        host_memory_bytes=host_memory_bytes(),
        collectives=tuple(found),
        largest=tuple(largest_arrays(program, runs)),
        traffic_bytes=memory_traffic(program, runs),
        gathered=tuple(gathered_frozen(found, flatten(state.frozen))),
        unknown_loops=runs.unknown_loops,
    )


def _refused(message: str, arguments: int, limit: int) -> CompiledStep:
    """What the compiler's refusal says of the memory that it would take."""
    # Either wording's number has the arguments in it, though one speaks of temporaries alone.
    peak, named_limit = parse_refusal(message)
    return CompiledStep(
        fits=False,
        memory=Memory(
            arguments=arguments,
            temporaries=max(0, peak - arguments),
            peak=max(peak, arguments),
            limit=named_limit or limit,
        ),
        host_memory_bytes=host_memory_bytes(),
        largest=tuple(parse_allocations(message)),
        refusal=" ".join(message.split())[:1000],
    )


def parse_refusal(message: str) -> tuple[int, int]:
    """(bytes wanted, bytes there are) of a TPU compiler's RESOURCE_EXHAUSTED; 0 where unsaid."""
    match = _USED_OF.search(message) or _TEMPORARIES.search(message)
    if match is None:
        return 0, 0
    wanted, wanted_unit, there, there_unit = match.groups()
    return _bytes(wanted, wanted_unit), _bytes(there, there_unit)


def parse_allocations(message: str, count: int = 10) -> list[LargeArray]:
    """The largest allocations that a refusal lists ("Size: ... Operator: ... Shape: ...").

    Args:
      message: of the compiler.
      count: how many to return.
    """
    pattern = re.compile(
        rf"Size: {_SIZE}\s+(?:Operator: [^\n]*?op_name=\"([^\"]*)\"[^\n]*\n)?\s*Shape: (\S+)"
    )
    found = [
        LargeArray(
            name="", bytes=_bytes(size, unit), type=shape.partition("{")[0], source=source, count=1
        )
        for size, unit, source, shape in pattern.findall(message)
    ]
    return sorted(found, key=lambda item: -item.bytes)[:count]


def _bytes(number: str, unit: str) -> int:
    return int(float(number) * _UNITS[unit])


def _device_bytes(tree: Any) -> int:
    """Bytes of abstract arrays on one device."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(tree)
    )


def host_memory_bytes() -> int:
    """The most memory that this process has had, bytes."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 2**10


def _host_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
