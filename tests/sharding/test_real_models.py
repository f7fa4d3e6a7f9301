"""The real models on meshes of 8 host devices: the losses of one device, and all rules in use."""

from __future__ import annotations

import dataclasses
import functools
import re
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding

from configs import quickstart
from configs.ablations import conditioning
from flamingo_jax.config import (
    STAGES,
    CrossAttentionConfig,
    LanguageModelConfig,
    MeshConfig,
    ResamplerConfig,
    RunConfig,
    VisionConfig,
    resolve,
)
from flamingo_jax.core.paths import Params, flatten, partition
from flamingo_jax.data import schema
from flamingo_jax.sharding.mesh import make_mesh
from flamingo_jax.sharding.rules import (
    PARAMETER_RULES,
    parameter_shardings,
    to_global,
)
from flamingo_jax.training.compiled_step import abstract_state, jit_step
from flamingo_jax.training.optimizer import make_optimizer
from flamingo_jax.training.stages import make_stage
from flamingo_jax.training.state import TrainState, start_state
from tests.compilation import fast_compilation
from tests.e2e import tiny_run

B, T, I, V, HEADS, WIDTH, SIZE = 8, 12, 2, 64, 8, 16, 16
ONE = MeshConfig()
LAYOUTS = [
    MeshConfig(data=8),
    MeshConfig(data=4, model=2),
    MeshConfig(data=2, model=4, shard_frozen=True),
    MeshConfig(model=8),
    MeshConfig(replica=2, data=2, model=2),
    MeshConfig(data=4, model=2, shard_optimizer=False),
    MeshConfig(replica=2, data=4, shard_optimizer=False, shard_frozen=True),
]
STEPS = 2
LANGUAGE_MODEL = LanguageModelConfig(
    num_layers=2, width=WIDTH, num_heads=HEADS, head_dim=4, vocabulary_size=V
)


def make_config(stage: str) -> RunConfig:
    """The quickstart's stage with sizes that 8 devices divide, and one dataset."""
    config = resolve(quickstart.get_config(stage))
    model = dataclasses.replace(config.model, language_model=LANGUAGE_MODEL)
    if stage == "flamingo":
        model = dataclasses.replace(
            model,
            vision_encoder=VisionConfig(variant="nfnet_tiny", image_size=SIZE),
            resampler=ResamplerConfig(
                num_layers=1, width=WIDTH, num_heads=2, head_dim=8, num_latents=2, num_frames=1
            ),
            cross_attention=CrossAttentionConfig(every=1, num_heads=HEADS, head_dim=4),
        )
    # Adam's update is g / (|g| + epsilon) at first: where a gradient is all rounding (that of a
    # key's bias is 0 by symmetry), so is the update, unless epsilon is above the rounding.
    optimizer = dataclasses.replace(
        config.optimizer, learning_rate=1e-2, schedule="constant", warmup_steps=0, epsilon=1e-3
    )
    dataset = dataclasses.replace(config.data[0], name="one", batch_size=B)
    return dataclasses.replace(
        config, steps=STEPS, data=(dataset,), model=model, optimizer=optimizer
    )


def make_batch(seed: int) -> dict[str, np.ndarray]:
    """Random media, text and phi; weights of 0 and 1, so that rows count differently."""
    random = np.random.default_rng(seed)
    return {
        schema.MEDIA: random.integers(0, 256, (B, I, 1, SIZE, SIZE, 3), dtype=np.uint8),
        schema.TEXT: random.integers(1, V, (B, T), dtype=np.int32),
        schema.MEDIA_INDEX: random.integers(0, I + 1, (B, T), dtype=np.int32),
        schema.LOSS_WEIGHT: random.integers(0, 2, (B, T)).astype(np.float32),
    }


@functools.cache
def parameters(stage: str) -> Params:
    """Random parameters, gates open: every matrix of the model has its part in the loss."""
    init = make_stage(make_config(stage), tempfile.gettempdir()).init
    return tiny_run.random_parameters(jax.eval_shape(init, jax.random.key(0)))


@functools.cache
def run(stage: str, layout: MeshConfig) -> tuple[tuple[dict[str, float], ...], TrainState]:
    """The metrics of two steps on a mesh, as the loop makes them, and the state after them."""
    config = dataclasses.replace(make_config(stage), mesh=layout)
    mesh = make_mesh(layout)
    described = make_stage(config, tempfile.gettempdir())
    optimizer = make_optimizer(config.optimizer, config.steps)
    abstract = abstract_state(described, optimizer, config.seed, mesh, config.mesh)
    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract)
    # Copies, since the step gives the memory of its state away.
    params = jax.tree.map(lambda leaf: np.array(leaf), parameters(stage))
    trainable, frozen = partition(params, described.is_trainable)
    state = start_state(trainable, frozen, optimizer, jax.random.key(0))
    state = jax.device_put(state, shardings)
    step = jit_step(config, described, optimizer, abstract, mesh)
    rows = []
    for number in range(STEPS):
        batch = {key: make_batch(number)[key] for key in _keys(stage)}
        state, metrics = step(state, {"one": to_global(mesh, batch)})
        rows.append({name: float(metrics[name]) for name in ("loss/one", "gradient_norm")})
    return tuple(rows), state


def _keys(stage: str) -> tuple[str, ...]:
    text = (schema.TEXT, schema.LOSS_WEIGHT)
    return text if stage == "language_model" else (*text, schema.MEDIA, schema.MEDIA_INDEX)


@pytest.fixture(scope="module", autouse=True)
def _fast_compilation() -> Iterator[None]:
    with fast_compilation():
        yield


@pytest.mark.parametrize("layout", LAYOUTS, ids=repr)
@pytest.mark.parametrize("stage", ["language_model", "flamingo"])
def test_losses_and_parameters_are_those_of_one_device(stage: str, layout: MeshConfig) -> None:
    expected, expected_state = run(stage, ONE)
    rows, state = run(stage, layout)
    for row, expected_row in zip(rows, expected, strict=True):
        assert row["loss/one"] == pytest.approx(expected_row["loss/one"], rel=1e-5)
        assert row["gradient_norm"] == pytest.approx(expected_row["gradient_norm"], rel=1e-5)
    # The second step sees what the first one did.
    assert abs(expected[1]["loss/one"] - expected[0]["loss/one"]) > 1e-3
    before, moved = flatten(parameters(stage)), []
    for path, leaf in flatten(expected_state.trainable).items():
        found = np.asarray(flatten(state.trainable)[path])
        largest = np.abs(leaf).max()
        np.testing.assert_allclose(found, leaf, rtol=1e-5, atol=1e-5 * largest, err_msg=path)
        moved.append(np.abs(leaf - before[path]).max() > 1e-3)
    assert np.mean(moved) > 0.8


@pytest.mark.parametrize("layout", [ONE, *LAYOUTS], ids=repr)
@pytest.mark.parametrize("stage", ["language_model", "flamingo"])
def test_every_device_holds_its_part_of_the_large_matrices(
    stage: str, layout: MeshConfig
) -> None:
    """Of the state after the steps, its optimizer moments too."""
    _, state = run(stage, layout)
    model = layout.model
    split = {"language_model/embedding": 0} | {
        f"{scope}/{name}/w": axis
        for scope in _scopes(stage)
        for name, axis in {
            "query": -1,
            "key": -1,
            "value": -1,
            "output": -2,
            "feed_forward/hidden": -1,
            "feed_forward/output": -2,
        }.items()
    }
    moments = state.optimizer_state
    over_data = {"frozen": layout.shard_frozen, "moments": layout.shard_optimizer}
    trees = [("trainable", state.trainable), ("frozen", state.frozen)]
    trees += [
        ("moments", tree)
        for tree in jax.tree.leaves(moments, is_leaf=_is_params)
        if _is_params(tree)
    ]
    seen = set()
    for kind, leaves in ((kind, flatten(tree)) for kind, tree in trees):
        parts = model * (layout.data if over_data.get(kind) else 1)
        for path, axis in split.items():
            name = _place(path, leaves)
            if name is not None:
                shape = leaves[name].shape
                part = leaves[name].addressable_shards[0].data.shape
                assert part[axis] * model == shape[axis], name
                assert np.prod(part) * parts == np.prod(shape), name
                seen.add(path)
    assert seen == split.keys()


def _scopes(stage: str) -> tuple[str, ...]:
    if stage == "language_model":
        return ("language_model/layers/block",)
    return ("groups/language_model/block", "groups/cross_attention")


def _place(path: str, leaves: Mapping[str, Any]) -> str | None:
    """The language model's attention stands in a module of its own; cross-attention's does not."""
    module, _, name = path.partition("/block/")
    return next((p for p in (path, f"{module}/block/attention/{name}") if p in leaves), None)


def _is_params(tree: Any) -> bool:
    return isinstance(tree, Mapping) and all(isinstance(leaf, Mapping) for leaf in tree.values())


def quickstart_parameters(stage: str) -> Params:
    """Shapes of all parameters of the quickstart's stage."""
    described = make_stage(resolve(quickstart.get_config(stage)), tempfile.gettempdir())
    return jax.eval_shape(described.init, jax.random.key(0))


@pytest.mark.parametrize("stage", STAGES)
def test_rules_cover_the_quickstart_and_none_is_idle(stage: str) -> None:
    """parameter_shardings refuses both a path without a rule and a rule without a path."""
    params = quickstart_parameters(stage)
    shardings = flatten(parameter_shardings(make_mesh(MeshConfig()), params))
    assert shardings.keys() == flatten(params).keys()
    assert all(isinstance(sharding, NamedSharding) for sharding in shardings.values())


def test_every_component_of_the_rules_is_part_of_a_stage() -> None:
    """A component that no stage has is never checked for idle rules."""
    paths = [path for stage in STAGES for path in flatten(quickstart_parameters(stage))]
    grafting = resolve(conditioning.get_config("grafting"))
    paths += flatten(jax.eval_shape(make_stage(grafting, "").init, jax.random.key(0)))
    used = set()
    for path in paths:
        fitting = (n for n, rules in PARAMETER_RULES.items() if re.fullmatch(rules.scope, path))
        used.add(next(fitting))
    assert used == PARAMETER_RULES.keys()
