"""Flamingo that learns from text alone beside pictures, its language model unfrozen."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
import optax
import pytest

from flamingo_jax.config import MeshConfig, RunConfig
from flamingo_jax.core.paths import flatten, partition
from flamingo_jax.data import mixtures, vocabulary
from flamingo_jax.models import variants
from flamingo_jax.sharding.mesh import make_mesh
from flamingo_jax.sharding.rules import to_global
from flamingo_jax.training.compiled_step import abstract_state, jit_step
from flamingo_jax.training.stages import make_stage
from flamingo_jax.training.state import start_state
from tests.compilation import fast_compilation
from tests.e2e import tiny_run
from tests.e2e.test_stages import ONE_BLOCK, VISION
from tests.training.test_batches import PACKED, TEXT

STEPS = 6


def make_config(mesh: MeshConfig) -> RunConfig:
    """Pairs of the world, and its text: a document in a row, and several."""
    config = tiny_run.make_config("flamingo", VISION | {"unfrozen.language_model": "random"})
    return dataclasses.replace(config, data=(config.data[1], TEXT, PACKED), mesh=mesh)


def losses(mesh_config: MeshConfig) -> tuple[list[dict[str, float]], dict[str, Any]]:
    """The losses of a few steps on the first batch, and how far each parameter moved."""
    config = make_config(mesh_config)
    mesh, stage, optimizer = make_mesh(mesh_config), make_stage(config, ""), optax.adam(3e-3)
    abstract = abstract_state(stage, optimizer, config.seed, mesh, config.mesh)
    params = tiny_run.random_parameters(jax.eval_shape(stage.init, jax.random.key(0)))
    before = {path: np.asarray(leaf) for path, leaf in flatten(params).items()}
    state = start_state(*partition(params, stage.is_trainable), optimizer, jax.random.key(0))
    state = jax.tree.map(lambda leaf, like: jax.device_put(leaf, like.sharding), state, abstract)
    words = vocabulary.load(config.vocabulary)
    batches = {
        dataset.name: to_global(mesh, next(mixtures.batches(dataset, words, "flamingo"))[0])
        for dataset in config.data
    }
    step = jit_step(config, stage, optimizer, abstract, mesh)
    found = []
    for _ in range(STEPS):
        state, metrics = step(state, batches)
        found.append({k: float(v) for k, v in metrics.items() if k.startswith("loss/")})
    after = flatten(state.trainable) | flatten(state.frozen)
    moved = {path: np.abs(np.asarray(leaf) - before[path]).max() for path, leaf in after.items()}
    return found, moved


def test_text_is_learned_beside_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(variants.NFNET_VARIANTS, "one_block", ONE_BLOCK)
    with fast_compilation():
        alone, moved = losses(MeshConfig())
        split, _ = losses(MeshConfig(data=2, model=2))
    names = {"loss/clean_pairs", "loss/noisy_pairs"} & alone[0].keys()
    assert len(names) == 1
    for name in ("loss/text", "loss/packed", *names):
        assert alone[-1][name] < alone[0][name]
        found, expected = ([step[name] for step in steps] for steps in (split, alone))
        np.testing.assert_allclose(found, expected, rtol=2e-3)
    for path, distance in moved.items():
        assert bool(distance > 0) is ("vision_encoder" not in path.split("/")), path
