"""Flamingo with parts unfrozen: where these start, that they move, and that nothing else does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flamingo_jax.config import MeshConfig
from flamingo_jax.core.paths import flatten, partition
from flamingo_jax.data import schema
from flamingo_jax.models import variants
from flamingo_jax.sharding.mesh import make_mesh
from flamingo_jax.training.accumulation import unsharded
from flamingo_jax.training.stages import make_stage, pretrained_part, regroup
from flamingo_jax.training.state import start_state
from flamingo_jax.training.trained import with_shardings
from tests.compilation import fast_compilation
from tests.e2e import tiny_run
from tests.e2e.test_stages import ONE_BLOCK, VISION

BFLOAT16 = VISION | {"model.precision.frozen": "bfloat16"}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two stages that Flamingo can start from, with random parameters."""
    folder = tmp_path_factory.mktemp("unfrozen")
    with pytest.MonkeyPatch.context() as monkeypatch, fast_compilation():
        monkeypatch.setitem(variants.NFNET_VARIANTS, "one_block", ONE_BLOCK)
        tiny_run.write_untrained_stage(
            folder, tiny_run.make_config("contrastive", VISION | {"steps": 1})
        )
        tiny_run.write_untrained_stage(
            folder, tiny_run.make_config("language_model", {"steps": 1}), seed=1
        )
        yield folder


def load(workdir: Path, **unfrozen: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A stage, its abstract parameters and what it loads."""
    config = tiny_run.make_config("flamingo", BFLOAT16 | {"unfrozen": unfrozen})
    stage = make_stage(config, workdir)
    shapes = jax.eval_shape(stage.init, jax.random.key(0))
    abstract = with_shardings(make_mesh(MeshConfig()), shapes)
    return stage, flatten(abstract), flatten(stage.load_parameters(abstract))


def test_a_pretrained_part_starts_where_its_stage_ended_in_float32(workdir: Path) -> None:
    _, _, frozen = load(workdir)
    stage, abstract, loaded = load(workdir, language_model="pretrained")
    assert loaded.keys() == frozen.keys()
    for path, leaf in loaded.items():
        is_text = pretrained_part(path) == "language_model"
        assert stage.is_trainable(path) is is_text
        assert leaf.dtype == abstract[path].dtype == (jnp.float32 if is_text else jnp.bfloat16)
        np.testing.assert_array_equal(leaf.astype(jnp.bfloat16), frozen[path], err_msg=path)
    saved = flatten(make_stage_parameters(workdir))
    wanted = {p: leaf for p, leaf in abstract.items() if pretrained_part(p) == "language_model"}
    for path, leaf in regroup(saved, wanted).items():
        np.testing.assert_array_equal(loaded[path], leaf, err_msg=path)


def make_stage_parameters(workdir: Path) -> Any:
    """The saved language model, read without the code under test."""
    config = tiny_run.make_config("language_model", {"steps": 1})
    init = make_stage(config, workdir).init
    return tiny_run.random_parameters(jax.eval_shape(init, jax.random.key(0)), seed=1)


def test_a_random_part_is_not_loaded(workdir: Path) -> None:
    stage, abstract, loaded = load(workdir, vision_encoder="random", language_model="random")
    assert not loaded
    assert all(stage.is_trainable(path) for path in abstract)


@pytest.mark.parametrize("part", ["", "vision_encoder", "language_model"])
def test_what_is_unfrozen_moves_and_nothing_else(workdir: Path, part: str) -> None:
    stage, abstract, _ = load(workdir, **({part: "random"} if part else {}))
    optimizer = optax.adam(1e-2)
    params = tiny_run.random_parameters(jax.eval_shape(stage.init, jax.random.key(0)))
    trainable, frozen = partition(params, stage.is_trainable)
    assert {pretrained_part(path) for path in flatten(frozen)} == (
        {"vision_encoder", "language_model"} - {part}
    )
    state = start_state(trainable, frozen, optimizer, jax.random.key(0))
    config = tiny_run.make_config("flamingo", BFLOAT16)
    random = np.random.default_rng(0)
    size = config.model.vision_encoder.image_size if config.model.vision_encoder else 0
    batches = {}
    for dataset in config.data:
        text = (dataset.batch_size, dataset.max_text_length)
        media = (dataset.batch_size, dataset.max_images, dataset.num_frames, size, size, 3)
        batches[dataset.name] = {
            schema.MEDIA: random.integers(0, 256, media, dtype=np.uint8),
            schema.TEXT: random.integers(4, 1000, text, dtype=np.int32),
            schema.MEDIA_INDEX: random.integers(0, dataset.max_images + 1, text, dtype=np.int32),
            schema.LOSS_WEIGHT: np.ones(text, np.float32),
        }
    after, metrics = jax.jit(stage.make_step(optimizer, unsharded))(state, batches)
    assert np.isfinite(metrics["loss/total"])
    for path, leaf in flatten(after.frozen).items():
        np.testing.assert_array_equal(leaf, flatten(frozen)[path], err_msg=path)
    parts = {
        pretrained_part(path)
        for path, leaf in flatten(after.trainable).items()
        if np.abs(leaf - flatten(trainable)[path]).max() > 1e-3
    }
    assert parts == {None, part} - {""}
