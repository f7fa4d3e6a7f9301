"""Whole train steps compiled from shapes, and a compiler's refusals read."""

from __future__ import annotations

import dataclasses
import importlib.util
from typing import Any

import jax
import pytest

from flamingo_jax.config import MeshConfig
from flamingo_jax.planning import topology as topologies
from flamingo_jax.planning.collectives import find_optimizer_split
from flamingo_jax.planning.compiled import (
    CompiledStep,
    compile_step,
    parse_allocations,
    parse_refusal,
)
from flamingo_jax.sharding.mesh import make_mesh
from flamingo_jax.training.batches import abstract_batches
from flamingo_jax.training.compiled_step import abstract_state, jit_step
from flamingo_jax.training.losses import CHUNK_LENGTH
from flamingo_jax.training.optimizer import make_optimizer
from flamingo_jax.training.stages import make_stage
from tests.compilation import fast_compilation
from tests.e2e import tiny_run

GIB = 2**30


def _compiled(stage: str, max_text_length: int = 0, **mesh: Any) -> CompiledStep:
    changes = {"data[0].batch_size": 4}
    if max_text_length:
        changes["data[0].max_text_length"] = max_text_length
    config = tiny_run.make_config(stage, changes)
    config = dataclasses.replace(config, data=config.data[:1], mesh=MeshConfig(**mesh))
    topology = topologies.parse_topology(f"cpu:{mesh['data'] * mesh['model']}")
    with fast_compilation():
        return compile_step(config, topology, topologies.devices(topology))


def test_a_language_model_step_splits_its_optimizer_over_data() -> None:
    before = len(jax.live_arrays())
    step = _compiled("language_model", data=2, model=2)
    assert len(jax.live_arrays()) == before
    assert step.fits
    assert step.memory.peak >= step.memory.arguments > 0
    assert step.compile_seconds > 0
    assert step.traffic_bytes > step.memory.arguments
    assert step.unknown_loops == ()
    assert step.gathered == ()
    axes = {item.axis for item in step.collectives}
    assert {"data", "model"} <= axes
    assert find_optimizer_split(step.collectives).is_there
    assert not any(axis.startswith("unknown") for axis in axes)


def test_without_the_split_nothing_is_sliced() -> None:
    step = _compiled("language_model", data=2, model=1, shard_optimizer=False)
    split = find_optimizer_split(step.collectives)
    assert not split.is_there


def test_the_embeddings_gradient_is_added_up_over_data_once() -> None:
    """And not for every chunk of the loss. Model halves of its 1,024 rows of 32 numbers."""
    step = _compiled("language_model", max_text_length=3 * CHUNK_LENGTH, data=2, model=2)
    sums = [
        item.times
        for item in step.collectives
        if item.axis == "data"
        and item.kind != "all-gather"
        and any(array.shape == (512, 32) for array in item.arrays)
    ]
    assert sums == [1]


@pytest.mark.parametrize("stage", ["language_model", "flamingo"])
def test_depth_costs_no_program_text(stage: str) -> None:
    """Twice the layers are more turns of the same loops, so compiling them takes no longer."""

    def lines(num_layers: int) -> int:
        changes = {"model.language_model.num_layers": num_layers}
        config = tiny_run.make_config(stage, changes)
        mesh = make_mesh(config.mesh)
        described = make_stage(config, "")
        optimizer = make_optimizer(config.optimizer, config.steps)
        state = abstract_state(described, optimizer, 0, mesh)
        step = jit_step(config, described, optimizer, state, mesh)
        return step.lower(state, abstract_batches(config, mesh)).as_text().count("\n")

    assert lines(16) <= 1.01 * lines(8)


# As libtpu 0.0.42 words them.
ALL_TOO_LARGE = (
    "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO temporaries"
    " (446.75G) exceeds available HBM (30.75G)."
)
ALLOCATIONS = """RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory \
space hbm. Used 40.50G of 30.75G hbm. Exceeded hbm capacity by 9.75G.

Largest program allocations in hbm:

  1. Size: 8.00G
     Operator: op_type="Dot" op_name="jit(step)/while/body/dot_general" source_file="x.py"
     Shape: bf16[8,256,2097152]{2,1,0:T(8,128)(2,1)}
     Unpadded size: 8.00G
     Allocation type: HLO temp
     ==========================

  2. Size: 512.00M
     Shape: f32[1024,131072]{1,0:T(8,128)}
     Unpadded size: 512.00M
     Allocation type: HLO temp
     ==========================
"""


def test_refusals_say_how_much_is_wanted_and_how_much_there_is() -> None:
    assert parse_refusal(ALL_TOO_LARGE) == (int(446.75 * GIB), int(30.75 * GIB))
    assert parse_refusal(ALLOCATIONS) == (int(40.5 * GIB), int(30.75 * GIB))
    assert parse_refusal("RESOURCE_EXHAUSTED: no more words") == (0, 0)


def test_the_largest_allocations_of_a_refusal_are_listed() -> None:
    found = parse_allocations(ALLOCATIONS)
    assert [(item.bytes, item.type, item.source) for item in found] == [
        (8 * GIB, "bf16[8,256,2097152]", "jit(step)/while/body/dot_general"),
        (GIB // 2, "f32[1024,131072]", ""),
    ]
    assert parse_allocations(ALL_TOO_LARGE) == []


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu is not there")
@pytest.mark.parametrize("stage", ["contrastive", "language_model", "flamingo"])
def test_every_stage_compiles_for_a_tpu(stage: str) -> None:
    topology = topologies.parse_topology("v4:2x2x1")
    topologies.prepare_environment(topology)
    batches = {f"data[{i}].batch_size": 4 for i in range(2 if stage != "flamingo" else 4)}
    config = dataclasses.replace(
        tiny_run.make_config(stage, batches), mesh=MeshConfig(data=2, model=2)
    )
    step = compile_step(config, topology, topologies.devices(topology))
    assert step.fits
    assert step.memory.limit == int(30.75 * GIB)
    assert find_optimizer_split(step.collectives).is_there
