"""All 18 benchmarks of the paper, from files to numbers, asked of one tiny random Flamingo."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

from flamingo_jax.config import MeshConfig
from flamingo_jax.config_evaluation import BenchmarkEvaluationConfig
from flamingo_jax.data import vocabulary
from flamingo_jax.evaluation import benchmark_runner, benchmark_scoring, results
from flamingo_jax.evaluation.answering import FewShotModel
from flamingo_jax.evaluation.benchmark_opening import open_benchmarks
from flamingo_jax.evaluation.benchmark_task import TASKS
from flamingo_jax.evaluation.benchmarks.catalog import open_benchmark
from flamingo_jax.evaluation.grounding_files import read_groundings
from flamingo_jax.evaluation.predictions import Prediction, read_predictions
from flamingo_jax.sharding.mesh import make_mesh
from tests.compilation import fast_compilation
from tests.evaluation import paper_benchmarks, tiny

SHOTS = 2
IMAGES = ("real", "zeroed", "swapped")
CAPTIONS = ("coco", "flickr30k", "vatex", "youcook2")
# Its answers are given out to nobody.
WITHOUT_NUMBER = ("star",)
# No picture to swap: all queries of the miniature are about one clip.
ONE_PICTURE = ("msrvttqa", "star")


def model() -> FewShotModel:
    world = vocabulary.load("world")
    functions, params = tiny.model(world.size)
    mesh = make_mesh(MeshConfig())
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return FewShotModel(
        functions=functions, params=jax.device_put(params, whole), mesh=mesh, vocabulary=world,
        image_size=32, checkpoint="flamingo/1/abc",
    )  # fmt: skip


def config(data_dir: Path, **changes: object) -> BenchmarkEvaluationConfig:
    fields: dict[str, object] = {
        "tasks": paper_benchmarks.NAMES, "data_dir": str(data_dir), "shots": (0, SHOTS),
        "batch_size": 3, "max_decode_length": 4, "beam_width": 2, "num_frames": 10,
        "wordnet": str(data_dir / "wordnet"),
    }  # fmt: skip
    return BenchmarkEvaluationConfig(**(fields | changes))  # type: ignore[arg-type]


def evaluate(asked: BenchmarkEvaluationConfig, folder: Path) -> None:
    benchmark_runner.evaluate(
        asked, open_benchmarks(asked), model(), folder, folder / "results.jsonl"
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paper_benchmarks.write(tmp_path_factory.mktemp("benchmarks"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Iterator[Path]:
    """The folder of a run in which everything is asked."""
    folder = tmp_path_factory.mktemp("run")
    with fast_compilation():
        evaluate(config(data_dir), folder)
        yield folder


def predictions(run: Path, name: str) -> list[Prediction]:
    return list(read_predictions(run / "predictions" / f"{name}.jsonl"))


@pytest.mark.parametrize("name", paper_benchmarks.NAMES)
def test_every_query_of_every_benchmark_is_answered(run: Path, data_dir: Path, name: str) -> None:
    task = TASKS[name]
    benchmark = open_benchmark(name, str(data_dir), "test")
    for shots in (0, SHOTS) if name != "rareact" else (0,):
        lines = predictions(run, f"{name}-{shots}-0")
        assert {line.query for line in lines} == {item.id for item in benchmark.queries}
        items = {item.id: item for item in benchmark.queries}
        for line in lines:
            item = items[line.query]
            assert line.medium == item.medium
            assert line.references == item.answers and line.label == item.label
            assert line.prompt.count("<image>") == shots + 1
            if task.is_open:
                assert len(line.support) == (shots or 2)
                assert line.scores == () and len(line.answer) <= len(line.output)
            else:
                candidates = item.candidates or benchmark.candidates
                assert len(line.support) == shots
                assert len(line.scores) == len(candidates)
                assert line.answer == candidates[line.scores.index(max(line.scores))]
            assert line.score <= 0


@pytest.mark.parametrize("name", paper_benchmarks.NAMES)
def test_every_benchmark_has_its_number_and_controls(run: Path, name: str) -> None:
    found = [
        r for r in results.read(run / "results.jsonl")
        if r.task == name and r.metric in benchmark_scoring.METRICS
    ]  # fmt: skip
    shots = (0,) if name == "rareact" else (0, SHOTS)
    images = tuple(i for i in IMAGES if i != "swapped" or name not in ONE_PICTURE)
    expected = {(n, i) for n in shots for i in images} if name not in WITHOUT_NUMBER else set()
    assert {(r.shots, r.images) for r in found} == expected
    for result in found:
        assert result.metric == TASKS[name].metric
        assert 0 <= result.value <= (1000 if name in CAPTIONS else 100)
        assert math.isfinite(result.stderr)
        assert result.selection == ("random" if result.shots else "none")
        assert result.checkpoint == "flamingo/1/abc"
    for way in (f"{n}-0{'' if i == 'real' else f'-{i}'}" for n in shots for i in images):
        assert (run / "predictions" / f"{name}-{way}.jsonl").exists()


@pytest.mark.parametrize("name", paper_benchmarks.NAMES)
def test_the_loss_of_right_answers_and_attention_are_measured(
    run: Path, data_dir: Path, name: str
) -> None:
    found = {
        (r.metric, r.shots, r.images): r
        for r in results.read(run / "results.jsonl") if r.task == name
    }  # fmt: skip
    items = {item.id: item for item in open_benchmark(name, str(data_dir), "test").queries}
    num_known = sum(bool(item.answers) for item in items.values())
    assert num_known == 0 if name in WITHOUT_NUMBER else num_known >= 1
    by_picture = [json.loads(text) for text in (run / "attention.jsonl").read_text().splitlines()]
    for shots in (0, SHOTS) if name != "rareact" else (0,):
        for images in IMAGES if name not in ONE_PICTURE else IMAGES[:2]:
            suffix = "" if images == "real" else f"-{images}"
            path = run / "grounding" / f"{name}-{shots}-0{suffix}.jsonl"
            lines = list(read_groundings(path))
            assert {line.query for line in lines} == set(items)
            for line in lines:
                answers = items[line.query].answers
                assert line.reference == (answers[0] if answers else "")
                assert line.loss is None if not answers else line.loss and line.loss > 0
                for shares in (line.cross_attention, line.self_attention):
                    assert len(shares) == (shots + 1 if images == "real" else 0)
            if num_known > 1:
                losses = [line.loss for line in lines if line.loss is not None]
                assert found["loss", shots, images].value == sum(losses) / len(losses)
                assert found["loss", shots, images].n == num_known
            else:
                assert ("loss", shots, images) not in found
        (mean,) = (m for m in by_picture if (m["task"], m["shots"]) == (name, shots))
        assert mean["n"] == len(items) and mean["cross_attention_change"] > 0
        assert mean["cross_attention"] == pytest.approx([0.0] * shots + [1.0])
        assert sum(mean["self_attention"]) + mean["self_attention_before"] == pytest.approx(1)
        share = found["self_attention_to_query", shots, "real"]
        assert share.value == pytest.approx(100 * mean["self_attention"][-1])
        assert (("self_attention_to_shots", shots, "real") in found) is (shots > 0)


def test_other_pictures_give_other_losses(run: Path) -> None:
    for name in ("coco", "vqav2", "imagenet", "visdial"):
        real, zeroed, swapped = (
            {line.query: line.loss for line in read_groundings(run / "grounding" / f"{file}.jsonl")}
            for file in (f"{name}-2-0", f"{name}-2-0-zeroed", f"{name}-2-0-swapped")
        )
        assert all(loss not in (zeroed[query], swapped[query]) for query, loss in real.items())


def test_scoring_again_gives_the_same_numbers_bit_for_bit(
    run: Path, data_dir: Path, tmp_path: Path
) -> None:
    again = tmp_path / "results.jsonl"
    benchmark_scoring.rescore(config(data_dir), run / "predictions", again)
    for name in ("results.jsonl", "attention.jsonl"):
        assert sorted((tmp_path / name).read_text().splitlines()) == sorted(
            (run / name).read_text().splitlines()
        )


def test_answers_depend_on_the_pictures(run: Path) -> None:
    # Open gates: the log-likelihoods of memes and classes change with what is shown.
    for name in ("imagenet", "hateful_memes", "visdial", "rareact", "kinetics700"):
        shown = [
            {line.query: line.scores for line in predictions(run, f"{name}-0-0{way}")}
            for way in ("", "-zeroed", "-swapped")
        ]
        for query, scores in shown[0].items():
            assert scores != shown[1][query] and scores != shown[2][query]


def test_what_is_answered_is_not_asked_again(
    run: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "results.jsonl").read_text()

    def ask(*arguments: object) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr(benchmark_runner.BenchmarkAnswers, "predict", ask)
    monkeypatch.setattr(benchmark_runner.BenchmarkAnswers, "ground", ask)
    evaluate(config(data_dir), run)
    assert sorted((run / "results.jsonl").read_text().splitlines()) == sorted(before.splitlines())
    printed = capsys.readouterr().out
    assert "note: rareact: 0 shots instead of 2: it has no training set to take shots" in printed
    assert "star, 0 shots, seed 0: what is right in 'test' is not given out" in printed


def test_lines_have_what_a_reader_needs(run: Path) -> None:
    line = json.loads((run / "predictions" / "vqav2-2-0.jsonl").read_text().splitlines()[0])
    assert set(line) >= {"query", "support", "prompt", "output", "answer", "score", "references"}
    assert line["prompt"].endswith("Answer:") and "<EOC><image>Question:" in line["prompt"]


def test_dialogs_stop_at_the_limit_of_a_prompt(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = config(
        data_dir, tasks=("visdial",), shots=(0, 1, 2), controls=(), max_prompt_length=500
    )
    with fast_compilation():
        evaluate(asked, tmp_path)
    assert {result.shots for result in results.read(tmp_path / "results.jsonl")} == {0, 1}
    (note,) = results.read_left_out(tmp_path / "results.jsonl")
    assert (note.task, note.shots) == ("visdial", 2)
    # Two dialogs and the beginning of a third, as the model's vocabulary cuts them.
    assert note.reason == "prompts have up to 783 tokens, config.max_prompt_length is 500"
    assert f"note: visdial, 2 shots: left out: {note.reason}\n" in capsys.readouterr().out
