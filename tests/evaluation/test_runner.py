"""The evaluation from end to end: a tiny Flamingo, and an oracle that must score 100."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.config import EvaluationConfig, MeshConfig, MoreQueries
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import vocabulary
from flamingo_jax.evaluation import results, runner
from flamingo_jax.evaluation.answering import FewShotModel
from flamingo_jax.evaluation.pictures import PictureEncoder, Pictures
from flamingo_jax.evaluation.prompts import Prompt
from flamingo_jax.evaluation.tasks.registry import FEW_SHOT_TASKS, make_task
from flamingo_jax.models.variants import nfnet_variant
from flamingo_jax.sharding.mesh import make_mesh
from tests.evaluation import coco_files, tiny

WORLD = vocabulary.load("world")
NUM_SUPPORT = 40
CONFIG = EvaluationConfig(
    tasks=("naming", "classification"),
    shots=(0, 4),
    num_queries=4,
    more_queries=(MoreQueries(task="naming", shots=4, selection="random", num_queries=7),),
    num_support=NUM_SUPPORT,
    batch_size=4,
    max_decode_length=4,
)


def _patches(params: Any, media_BIFHWC: jax.Array) -> jax.Array:
    """Stands in for the vision encoder: 16 patches, each its mean colour in 128 places."""
    *batch, H, W, C = media_BIFHWC.shape
    cut = media_BIFHWC.reshape(*batch, 4, H // 4, 4, W // 4, C).astype(jnp.float32) / 255.0
    colour = cut.mean(axis=(-4, -2)).reshape(*batch, 16, C)
    width = nfnet_variant("nfnet_tiny").output_width
    return jnp.pad(colour, [(0, 0)] * (colour.ndim - 1) + [(0, width - C)])


def _model(mesh: tuple[int, int] = (1, 1)) -> FewShotModel:
    functions, params = tiny.model(WORLD.size)
    devices = make_mesh(MeshConfig(data=mesh[0], model=mesh[1]))
    whole = jax.sharding.NamedSharding(devices, jax.sharding.PartitionSpec())
    return FewShotModel(
        functions=dataclasses.replace(functions, encode_features=_patches),
        params=jax.device_put(params, whole),
        mesh=devices,
        vocabulary=WORLD,
        image_size=24,
        checkpoint="flamingo/1/abc",
    )


def test_every_number_has_its_control_and_its_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results.jsonl"
    runner.evaluate(CONFIG, _model(), None, path, "hash")
    found = results.read(path)
    cells = [(0, "none"), (4, "random"), (4, "rices")]
    expected = {
        (task, shots, selection, images)
        for task in CONFIG.tasks for shots, selection in cells for images in ("real", "swapped")
    }  # fmt: skip
    assert {(r.task, r.shots, r.selection, r.images) for r in found} == expected
    assert len(found) == len(expected)
    for result in found:
        more = (result.task, result.shots, result.selection) == ("naming", 4, "random")
        assert result.n == (7 if more else 4)
        assert result.metric == ("exact_match" if result.task == "naming" else "accuracy")
        assert (result.seed, result.split) == (0, "test")
        assert (result.config_hash, result.checkpoint) == ("hash", "flamingo/1/abc")
        assert 0 <= result.value <= 100 and np.isfinite(result.stderr)
    assert set(json.loads(path.read_text().splitlines()[0])) >= {"stderr", "images", "n"}
    printed = capsys.readouterr().out
    assert "[ 1/6] naming, 0 shots, none, 4 queries: exact_match real" in printed
    assert "left" in printed

    # Once more, in batches of another size on two devices: the same numbers in the same lines.
    again = dataclasses.replace(CONFIG, tasks=("naming",), shots=(4,), batch_size=2)
    runner.evaluate(again, _model((2, 1)), None, path, "hash")
    assert sorted(results.read(path), key=str) == sorted(found, key=str)


def _seen_by_oracle(media: Iterable[np.ndarray]) -> Pictures:
    """Latents that hold nothing, features that are all different."""
    count = len(list(media))
    pooled = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)
    return Pictures(latents=np.zeros((count, 1, 1), np.float32), pooled=pooled)


class _Oracle:
    """Knows what each query's picture shows, and says that, whatever the text."""

    def __init__(self, *arguments: object) -> None:
        self.texts: list[list[tuple[int, ...]]] = []

    def generate(self, prompts: Sequence[Prompt], *arguments: object) -> list[str]:
        task = FEW_SHOT_TASKS["captioning"](0, "test", NUM_SUPPORT)
        _SEEN.append([prompt.text for prompt in prompts])
        return [task.query(prompt.pictures[-1] - NUM_SUPPORT).answer for prompt in prompts]

    def rank(
        self, prompts: Sequence[Prompt], latents: object, shape: object, candidates: Sequence[str]
    ) -> np.ndarray:
        task = FEW_SHOT_TASKS["classification"](0, "test", NUM_SUPPORT)
        said = [task.query(prompt.pictures[-1] - NUM_SUPPORT).answer for prompt in prompts]
        return np.array([[float(word == answer) for word in candidates] for answer in said])


_SEEN: list[list[tuple[int, ...]]] = []


def test_who_sees_the_pictures_scores_100_and_who_sees_swapped_ones_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "Answerer", _Oracle)
    monkeypatch.setattr(PictureEncoder, "__call__", lambda self, media: _seen_by_oracle(media))
    _SEEN.clear()
    path = tmp_path / "results.jsonl"
    config = dataclasses.replace(
        CONFIG, tasks=("captioning", "classification"), num_queries=50, more_queries=()
    )
    runner.evaluate(config, _model(), None, path, "hash")
    for result in results.read(path):
        if result.metric == "cider":
            assert (result.value > 900) == (result.images == "real")
        else:
            assert (result.value == 100.0) == (result.images == "real")
        if result.images == "swapped" and result.metric != "cider":
            # About one in ten has the same digit, hardly any the same caption.
            assert result.value <= (30.0 if result.task == "classification" else 5.0)
    # The control reads exactly the same texts.
    assert len(_SEEN) == 6
    assert _SEEN[0::2] == _SEEN[1::2]


def test_an_unknown_task_is_named(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, tasks=("captionning",))
    with pytest.raises(UserError, match="no task 'captionning'; the tasks are captioning, "):
        runner.evaluate(config, _model(), None, tmp_path / "results.jsonl", "hash")


def _files_config(folder: Path, **changes: Any) -> EvaluationConfig:
    fields = {"tasks": ("walls",), "shots": (0,), "selections": (), "split": "train"} | changes
    return EvaluationConfig(
        num_queries=100, benchmarks=(coco_files.benchmark(folder),), max_decode_length=4, **fields
    )


def test_a_benchmark_of_files_is_asked_of_a_model(tmp_path: Path) -> None:
    config = _files_config(coco_files.write(tmp_path))
    path = tmp_path / "results.jsonl"
    runner.evaluate(config, _model(), None, path, "hash")
    found = results.read(path)
    assert [(r.task, r.split, r.shots, r.selection, r.images, r.metric) for r in found] == [
        ("walls", "train", 0, "none", images, "cider") for images in ("real", "swapped")
    ]
    # Asked for 100, it has five.
    assert {r.n for r in found} == {len(coco_files.COLOURS)}


def test_who_sees_the_pictures_of_files_speaks_as_people_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _files_config(coco_files.write(tmp_path))

    class Person:
        """Says the second caption of what it is shown."""

        def __init__(self, *arguments: object) -> None:
            self.task = make_task("walls", config, 24)

        def generate(self, prompts: Sequence[Prompt], *arguments: object) -> list[str]:
            return [self.task.query(prompt.pictures[-1]).references[1] for prompt in prompts]

    monkeypatch.setattr(runner, "Answerer", Person)
    monkeypatch.setattr(PictureEncoder, "__call__", lambda self, media: _seen_by_oracle(media))
    path = tmp_path / "results.jsonl"
    runner.evaluate(config, _model(), None, path, "hash")
    real, swapped = results.read(path)
    # One of three references is met: 1,000 points. Of the other two the single words are, since
    # only the colour's name has weight: 250 points, a little less for another length.
    assert real.value == pytest.approx((1000 + 2 * 250) / 3, rel=0.02)
    assert swapped.value == 0.0


def test_benchmarks_have_names_of_their_own(tmp_path: Path) -> None:
    config = dataclasses.replace(
        _files_config(tmp_path), benchmarks=(coco_files.benchmark(tmp_path, name="captioning"),)
    )
    with pytest.raises(UserError, match="names captioning: expected unique ones, and none of "):
        runner.evaluate(config, _model(), None, tmp_path / "results.jsonl", "hash")
