"""The config that learns real photographs by heart: training and evaluation read the same files."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from configs import coco_mini
from flamingo_jax.config import RunConfig, resolve
from flamingo_jax.data import vocabulary
from flamingo_jax.data.ops.decode import decode
from flamingo_jax.data.sources.catalog import open_source
from flamingo_jax.evaluation import fewshot, results
from flamingo_jax.evaluation.tasks.registry import make_task
from flamingo_jax.models.variants import nfnet_variant
from tests.configs.test_full_size_configs import missing
from tests.evaluation import coco_files

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG_FILE = "configs/coco_mini.py:flamingo"
TASK = "coco_captions"
# Eighty photographs with COCO's own annotation files, where a developer has put them.
PHOTOGRAPHS = REPOSITORY.parent / "shared" / "coco-mini"


def _config(folder: Path) -> RunConfig:
    fields = coco_mini.get_config("flamingo")
    fields.data_dir = str(folder)
    return resolve(fields)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return coco_files.write(tmp_path, path=coco_mini.ANNOTATIONS, images=coco_mini.IMAGES)


def test_all_fields_are_open_to_overrides(tmp_path: Path) -> None:
    run = dataclasses.asdict(_config(tmp_path))
    run |= run.pop("model")
    assert missing(run, coco_mini.get_config().to_dict()) == []


def test_nothing_is_taken_from_other_runs(tmp_path: Path) -> None:
    config = _config(tmp_path)
    assert config.unfrozen.vision_encoder == config.unfrozen.language_model == "random"
    assert config.init_from == ""
    with pytest.raises(ValueError, match="stage 'contrastive' does not exist: expected flamingo"):
        coco_mini.get_config("contrastive")


def test_captions_are_asked_for_as_they_were_taught(folder: Path) -> None:
    config = _config(folder)
    (dataset,) = config.data
    source = open_source(dataset, config.stage)
    image_size = config.model.vision_encoder.image_size
    task = make_task(TASK, config.evaluation, image_size)
    taught = {}
    for n in range(source.num_examples or 0):
        example = source.read(n)
        pixels = decode(example.media[0], 1, dataset.image_size, dataset.frames_per_second)
        taught.setdefault(pixels.tobytes(), set()).add(example.chunks[1])
    assert len(taught) == task.num_queries == len(coco_files.COLOURS)
    for index in range(task.num_queries):
        assert taught[task.query_media(index).tobytes()] == set(task.query(index).references)
    (prompt,) = fewshot.make_prompts(
        task, vocabulary.load(config.vocabulary), 1, 0, "none", np.zeros((0, 0))
    )
    assert vocabulary.load(config.vocabulary).decode(prompt.text) == "<image>"


def test_sizes_fit_each_other(tmp_path: Path) -> None:
    config = _config(tmp_path)
    (dataset,) = config.data
    assert config.model.language_model.vocabulary_size == vocabulary.load(config.vocabulary).size
    # What stands around a caption in training: <BOS>, the tag of three tokens, <EOC> and <EOS>.
    assert config.evaluation.max_decode_length <= dataset.max_text_length - 5
    grid = nfnet_variant(config.model.vision_encoder.variant).grid_size(dataset.image_size)
    assert grid**2 > config.model.resampler.num_latents
    assert dataset.augmentation.is_off


@pytest.mark.slow
def test_photographs_are_learnt_by_heart(tmp_path: Path) -> None:
    if not PHOTOGRAPHS.is_dir():
        pytest.skip(f"needs COCO-like photographs at {PHOTOGRAPHS}")
    for entry_point in ("train", "evaluate"):
        subprocess.run(
            [
                sys.executable, "-m", f"flamingo_jax.{entry_point}", f"--config={CONFIG_FILE}",
                f"--workdir={tmp_path}", f"--config.data_dir={PHOTOGRAPHS}",
            ],
            cwd=REPOSITORY,
            check=True,
        )  # fmt: skip
    real, swapped = results.read(tmp_path / "results.jsonl")
    assert (real.images, swapped.images) == ("real", "swapped")
    assert (real.metric, real.n) == ("cider", 80)
    assert real.value > 100.0
    assert real.value >= 5 * swapped.value
