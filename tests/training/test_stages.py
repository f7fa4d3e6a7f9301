"""Tests of what is frozen, and of the way of stored parameters into Flamingo's stacks."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.checkpoint.frozen import save_frozen
from flamingo_jax.config import MeshConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.sharding.mesh import make_mesh
from flamingo_jax.training import compiled_step, stages, trained
from tests.training import toy


@pytest.mark.parametrize(
    ("path", "frozen"),
    [
        ("vision_encoder/stem/conv/w", True),
        ("language_model/embedding/w", True),
        ("groups/language_model/block/attention/query/w", True),
        ("last_group/language_model/block/feed_forward/hidden/w", True),
        ("groups/cross_attention/attention/query/w", False),
        ("groups/cross_attention/attention_gate", False),
        ("resampler/latents", False),
        ("extra_embeddings/end_of_chunk/w", False),
        ("media_projection/w", False),
    ],
)
def test_what_flamingo_freezes(path: str, frozen: bool) -> None:
    assert (stages.pretrained_part(path) is not None) is frozen


def test_regroup_keeps_the_order_of_the_layers() -> None:
    """Eight layers in two groups of three, and two left over."""
    weight = np.arange(8 * 2).reshape(8, 2)
    stored = {
        "language_model/layers/block/hidden/w": jnp.asarray(weight),
        "language_model/embedding/w": jnp.ones((4, 2)),
        "vision_encoder/stage/block/w": jnp.zeros((3,)),
    }
    groups = "groups/language_model/block/hidden/w"
    last_group = "last_group/language_model/block/hidden/w"
    wanted = {
        groups: jax.ShapeDtypeStruct((2, 3, 2), jnp.int32),
        last_group: jax.ShapeDtypeStruct((1, 2, 2), jnp.int32),
        "language_model/embedding/w": jax.ShapeDtypeStruct((4, 2), jnp.float32),
        "vision_encoder/stage/block/w": jax.ShapeDtypeStruct((3,), jnp.float32),
    }
    leaves = stages.regroup(stored, wanted)
    assert leaves.keys() == wanted.keys()
    np.testing.assert_array_equal(leaves[groups], weight[:6].reshape(2, 3, 2))
    np.testing.assert_array_equal(leaves[last_group], weight[6:].reshape(1, 2, 2))
    assert leaves["vision_encoder/stage/block/w"].shape == (3,)


@pytest.fixture(scope="module")
def toy_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workdir of the toy stage, trained for two steps."""
    workdir = tmp_path_factory.mktemp("toy")
    assert toy.run(workdir, toy.make_config(steps=2)) == 0
    return workdir


def load(workdir: Path) -> trained.Trained:
    config = trained.saved_config(workdir / "flamingo", "flamingo")
    stage = toy.make_stage(config.data)
    return trained.load_trained(workdir / "flamingo", stage.name, stage.init, stage.is_trainable)


def test_trained_stage_has_its_trained_and_its_frozen_parameters(toy_run: Path) -> None:
    result = load(toy_run)
    assert result.config == toy.make_config(steps=2)
    assert (result.step, result.checkpoint.name) == (2, "2")
    assert result.params.keys() == {"vision_encoder/a", "resampler/b", "extra_embeddings/c"}
    np.testing.assert_array_equal(
        result.params["vision_encoder/a"]["w"],
        np.linspace(-1, 1, 20, dtype=np.float32).reshape(5, 4),
    )
    initial = toy.init(jax.random.key(0))["resampler/b"]["w"]
    assert not np.allclose(result.params["resampler/b"]["w"], initial)


def test_missing_stage_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        trained.saved_config(tmp_path / "contrastive", "contrastive")
    assert str(caught.value) == (
        f"no checkpoint of the contrastive stage in {tmp_path}/contrastive: run python -m"
        f" flamingo_jax.train --config=…:contrastive --workdir={tmp_path} first"
    )


def test_flamingo_without_its_frozen_parts_names_the_stage_to_train(tmp_path: Path) -> None:
    stage = stages.make_stage(toy.make_config(), tmp_path)
    like = {"vision_encoder/a": {"w": jax.ShapeDtypeStruct((2,), jnp.float32)}}
    abstract = trained.with_shardings(make_mesh(MeshConfig()), like)
    with pytest.raises(UserError, match="no checkpoint of the contrastive stage.*:contrastive"):
        stage.load_parameters(abstract)


def test_stage_without_a_checkpoint_yet_is_missing(toy_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "flamingo"
    folder.mkdir()
    shutil.copy(toy_run / "flamingo" / "config.json", folder)
    with pytest.raises(UserError, match="no checkpoint of the flamingo stage"):
        load(tmp_path)


def test_saved_parameters_are_found_by_folder_and_parent_and_cast(tmp_path: Path) -> None:
    mesh = make_mesh(MeshConfig())
    params = {"resampler/a": {"w": jnp.array([1.0, 0.1], jnp.bfloat16)}}
    name = save_frozen(tmp_path, params)
    like = {"resampler/a": {"w": jax.ShapeDtypeStruct((2,), jnp.float32)}}
    abstract = trained.with_shardings(mesh, like)
    for location in (tmp_path / name, tmp_path):
        loaded = trained.load_saved_parameters(str(location), abstract)
        weight = loaded["resampler/a"]["w"]
        assert weight.dtype == jnp.float32
        np.testing.assert_array_equal(weight, params["resampler/a"]["w"].astype(jnp.float32))


def test_saved_parameters_that_do_not_exist() -> None:
    with pytest.raises(UserError, match=r"config\.init_from is 'nothing'"):
        trained.find_saved_parameters("nothing")


def test_stage_of_other_sizes_is_refused_by_field(toy_run: Path) -> None:
    config = toy.make_config()
    language_model = dataclasses.replace(config.model.language_model, width=7)
    model = dataclasses.replace(config.model, language_model=language_model)
    other: Any = dataclasses.replace(config, model=model)
    with pytest.raises(UserError, match=r"model\.language_model\.width' was .* is 7 now"):
        stages._check_part(config, other, ("language_model",), toy_run)


def test_frozen_weights_are_stored_in_their_precision() -> None:
    """abstract_state gives the frozen tree the dtype that the stage's init gives it."""
    config = toy.make_config()
    stage = toy.make_stage(config.data)

    def init(rng: jax.Array) -> Any:
        params = toy.init(rng)
        frozen = {"w": params["vision_encoder/a"]["w"].astype(jnp.bfloat16)}
        return params | {"vision_encoder/a": frozen}

    from flamingo_jax.training.optimizer import make_optimizer

    optimizer = make_optimizer(config.optimizer, config.steps)
    abstract = compiled_step.abstract_state(
        dataclasses.replace(stage, init=init), optimizer, 0, make_mesh(MeshConfig())
    )
    assert abstract.frozen["vision_encoder/a"]["w"].dtype == jnp.bfloat16
    assert abstract.trainable["resampler/b"]["w"].dtype == jnp.float32
