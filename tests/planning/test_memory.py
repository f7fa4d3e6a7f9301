"""Predicted bytes against a state that lies on eight devices."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from flamingo_jax.config import MeshConfig, PrecisionConfig, RunConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.planning.memory import parameter_layouts, state_bytes, state_of
from flamingo_jax.sharding.mesh import make_mesh
from flamingo_jax.training.compiled_step import abstract_state
from flamingo_jax.training.optimizer import make_optimizer
from flamingo_jax.training.stages import make_stage
from tests.e2e import tiny_run

LAYOUTS = [
    MeshConfig(data=8),
    MeshConfig(replica=2, data=2, model=2, shard_frozen=True),
    MeshConfig(data=4, model=2, shard_optimizer=False),
]


def make_config(layout: MeshConfig, stage: str = "flamingo") -> RunConfig:
    """The tiny stage on a mesh, frozen parts in bfloat16, batches that the mesh divides."""
    config = tiny_run.make_config(stage)
    model = dataclasses.replace(config.model, precision=PrecisionConfig(frozen="bfloat16"))
    data = tuple(dataclasses.replace(dataset, batch_size=8) for dataset in config.data)
    return dataclasses.replace(config, mesh=layout, model=model, data=data)


def placed_bytes(tree: Any) -> set[int]:
    """Bytes on each of the devices that hold a part of a tree."""
    totals: dict[jax.Device, int] = {}
    for leaf in jax.tree.leaves(tree):
        for shard in leaf.addressable_shards:
            totals[shard.device] = totals.get(shard.device, 0) + shard.data.nbytes
    return set(totals.values())


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_bytes_are_those_of_a_placed_state(layout: MeshConfig) -> None:
    config = make_config(layout)
    stage = make_stage(config, "")
    optimizer = make_optimizer(config.optimizer, config.steps)
    abstract = abstract_state(stage, optimizer, 0, make_mesh(layout), layout)
    predicted = state_bytes(state_of(config, stage)).totals()
    for part, tree in {
        "frozen": abstract.frozen,
        "trainable": abstract.trainable,
        "optimizer": abstract.optimizer_state,
    }.items():
        zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), tree)
        placed = jax.device_put(zeros, jax.tree.map(lambda leaf: leaf.sharding, tree))
        (on_every_device,) = placed_bytes(placed)
        assert predicted[part] == on_every_device, part


def test_splitting_saves_what_it_should() -> None:
    def of(**fields: Any) -> dict[str, int]:
        config = make_config(MeshConfig(**fields))
        return state_bytes(state_of(config, make_stage(config, ""))).totals()

    alone, data, model = of(), of(data=4), of(model=2)
    # Two float32 moments of every float32 parameter, and the optimizer's counters.
    assert alone["optimizer"] == pytest.approx(2 * alone["trainable"], rel=1e-3)
    assert data["frozen"] == alone["frozen"] and data["trainable"] == alone["trainable"]
    assert data["optimizer"] == pytest.approx(alone["optimizer"] / 4, rel=0.02)
    assert model["trainable"] < alone["trainable"]
    assert of(data=4, shard_optimizer=False)["optimizer"] == alone["optimizer"]
    assert of(data=4, shard_frozen=True)["frozen"] < 0.4 * alone["frozen"]


def test_dtypes_and_layouts_are_those_of_storage() -> None:
    config = make_config(MeshConfig(data=2, model=2))
    state = state_of(config, make_stage(config, ""))
    counted = state_bytes(state)
    assert set(counted.frozen) == {"bfloat16"}
    assert set(counted.trainable) == {"float32"}
    assert counted.optimizer["float32"] > 1000 * counted.optimizer["int32"] > 0
    layouts = parameter_layouts(state)
    assert list(layouts) == sorted(layouts)
    query = layouts["groups/language_model/block/attention/query/w"]
    assert query.spec == (None, None, None, "model")
    assert (query.dtype, query.trained) == ("bfloat16", False)
    assert layouts["resampler/latents"].trained


def test_a_mesh_that_does_not_divide_is_an_error_that_names_the_parameter() -> None:
    config = make_config(MeshConfig(model=7))
    with pytest.raises(UserError, match=r"attention/.*mesh\.model=7"):
        state_of(config, make_stage(config, ""))


def test_a_mesh_may_have_more_devices_than_the_machine() -> None:
    layout = MeshConfig(replica=3, data=8, model=4)
    assert jax.device_count() < 96
    config = dataclasses.replace(
        tiny_run.make_config("language_model"),
        mesh=layout,
        data=tuple(
            dataclasses.replace(dataset, batch_size=24)
            for dataset in tiny_run.make_config("language_model").data
        ),
    )
    assert state_bytes(state_of(config, make_stage(config, ""))).frozen == {}
