"""The shapes that a step is compiled for are those of the batches that the pipeline makes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from flamingo_jax.config import DatasetConfig, MeshConfig, RunConfig
from flamingo_jax.data import mixtures, vocabulary
from flamingo_jax.sharding.mesh import make_mesh
from flamingo_jax.training.batches import abstract_batches
from tests.e2e import tiny_run

TEXT = DatasetConfig(
    name="text",
    source="world/text",
    batch_size=2,
    loss_weight=1.0,
    max_text_length=48,
    max_images=0,
)
PACKED = dataclasses.replace(TEXT, name="packed", documents_per_row=3)


def config_with(stage: str, *more: DatasetConfig) -> RunConfig:
    config = tiny_run.make_config(stage)
    return dataclasses.replace(config, data=(*config.data, *more))


@pytest.mark.parametrize("stage", ["contrastive", "language_model", "flamingo"])
def test_batches_are_what_steps_are_compiled_for(stage: str) -> None:
    config = config_with(stage, *(() if stage == "contrastive" else (TEXT, PACKED)))
    abstract = abstract_batches(config, make_mesh(MeshConfig()))
    words = vocabulary.load(config.vocabulary)
    found: dict[str, dict[str, Any]] = {}
    for dataset in config.data:
        batch, _ = next(mixtures.batches(dataset, words, stage))
        found[dataset.name] = {key: (a.shape, a.dtype.name) for key, a in batch.items()}
    assert found == {
        name: {key: (leaf.shape, leaf.dtype.name) for key, leaf in batch.items()}
        for name, batch in abstract.items()
    }
    if stage != "contrastive":
        assert set(found["packed"]) == {"text", "loss_weight", "segment"}
        assert set(found["text"]) == {"text", "loss_weight"}
