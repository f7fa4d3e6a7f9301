"""The contrastive tasks through the evaluation's entry point, up to results.jsonl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import pytest

from configs.evaluation import paper
from flamingo_jax import evaluate
from flamingo_jax.config_evaluation import resolve_evaluation
from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation import results
from flamingo_jax.models import build, variants
from flamingo_jax.training import stages
from flamingo_jax.training.trained import Trained
from tests.e2e import tiny_run
from tests.e2e.test_stages import ONE_BLOCK, VISION
from tests.evaluation.benchmarks import miniatures
from tests.models import tiny


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stages that are loaded, of a run of tiny models."""
    monkeypatch.setitem(variants.NFNET_VARIANTS, "one_block", ONE_BLOCK)
    config = tiny_run.make_config("contrastive", VISION)
    stages_asked = []

    def load_stage(workdir: Path, stage: str, mesh: jax.sharding.Mesh) -> Trained:
        stages_asked.append(stage)
        params = tiny.parameters(build.build_two_tower(config.model).init)
        return Trained(config=config, params=params, step=3, checkpoint=Path("3"))

    monkeypatch.setattr(stages, "load_stage", load_stage)
    return stages_asked


def _evaluate(workdir: Path, **changes: Any) -> int:
    config = paper.get_config()
    config.update(changes)
    return evaluate.main(resolve_evaluation(config), workdir)


def test_results_are_written(
    tmp_path: Path, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    data_dir = tmp_path / "data"
    miniatures.coco(data_dir)
    miniatures.imagenet(data_dir)
    tasks = "imagenet_zero_shot,coco_retrieval"
    workdir = tmp_path / "run"
    assert _evaluate(workdir, tasks=tasks, data_dir=str(data_dir)) == 0
    assert asked == ["contrastive"]  # No Flamingo is needed.
    found = results.read(workdir / "results.jsonl")
    kinds = {(result.task, result.images): result.split for result in found}
    assert kinds == {
        ("imagenet_zero_shot", "real"): "val", ("imagenet_zero_shot", "swapped"): "val",
        ("coco_retrieval", "real"): "test", ("coco_retrieval", "swapped"): "test",
    }  # fmt: skip
    assert len(found) == 2 * (1 + 6)
    assert all(result.checkpoint.startswith("contrastive/3/") for result in found)
    assert "imagenet_zero_shot, swapped pictures: accuracy " in capsys.readouterr().out
    assert "Coco retrieval" in (workdir / "table.md").read_text()

    # Scored again from what was written, the numbers are the same; no model is loaded.
    (workdir / "results.jsonl").unlink()
    assert _evaluate(workdir, tasks=tasks, rescore=True) == 0
    again = results.read(workdir / "results.jsonl")
    assert sorted(again, key=str) == sorted(found, key=str) and asked == ["contrastive"]

    # Another number of the same kind takes the place of the first.
    _evaluate(workdir, tasks="imagenet_zero_shot", data_dir=str(data_dir), num_queries=3)
    again = results.read(workdir / "results.jsonl")
    assert len(again) == len(found)
    assert {result.n for result in again if result.task == "imagenet_zero_shot"} == {3}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": "coco_retreival"}, "no task 'coco_retreival'; .*star, .*coco_retrieval"),
        ({"tasks": "kinetics700_zero_shot"}, "kinetics700: there is no folder"),
        ({"tasks": "imagenet_zero_shot", "templates": "no"}, "templates 'no/imagenet.txt'"),
    ],
)
def test_what_is_missing_is_said_before_a_model_is_loaded(
    tmp_path: Path, asked: list[str], changes: dict[str, str], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        _evaluate(tmp_path / "run", data_dir=str(tmp_path), **changes)
    assert asked == [] and not (tmp_path / "run").exists()
