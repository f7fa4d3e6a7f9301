"""What is asked, in which order, and what comes of it, with an oracle in the model's place."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from flamingo_jax.config_evaluation import BenchmarkEvaluationConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import vocabulary
from flamingo_jax.evaluation import benchmark_runner, benchmark_scoring, results
from flamingo_jax.evaluation.benchmark_opening import open_benchmarks
from flamingo_jax.evaluation.benchmark_questions import Asked, Batch, Questions
from flamingo_jax.evaluation.grounding_files import Grounding, read_groundings
from flamingo_jax.evaluation.pictures import Pictures
from flamingo_jax.evaluation.predictions import Prediction, read_predictions
from tests.evaluation.benchmarks import miniatures

TASKS = ("vqav2", "imagenet", "hateful_memes", "coco")
MODEL: Any = SimpleNamespace(
    functions=None, params=None, mesh=None, vocabulary=vocabulary.load("world"), image_size=8,
    checkpoint="flamingo/1/abc",
)  # fmt: skip


class Eye:
    """In the vision encoder's place: visual tokens are the picture's colour."""

    def __init__(self, *arguments: object) -> None:
        pass

    def media_at_once(self, num_frames: int) -> int:
        return 4 // num_frames

    def __call__(self, media: Iterable[np.ndarray]) -> Pictures:
        colours = np.stack([pixels[0, 4, 4].astype(np.float32) for pixels in media])
        return Pictures(latents=colours[:, None], pooled=colours / 500)


class Oracle:
    """Says what is right about the picture that it is shown, whatever the text."""

    batches: list[list[str]]
    grounded: list[list[str]]
    stop_after: int | None = None

    def __init__(self, *arguments: object) -> None:
        Oracle.batches = []
        Oracle.grounded = []

    def predict(self, questions: Questions, batch: Batch) -> Iterator[Prediction]:
        if Oracle.stop_after is not None and len(Oracle.batches) >= Oracle.stop_after:
            raise KeyboardInterrupt
        Oracle.batches.append([asked.item.id for asked in batch.asked])
        return (self._answer(questions, asked, batch) for asked in batch.asked)

    def ground(self, batch: Batch, *, is_real: bool) -> Iterator[Grounding]:
        Oracle.grounded.append([asked.item.id for asked in batch.asked])
        for asked in batch.asked:
            count = len(asked.prompts[0].pictures)
            line = Grounding(query=asked.item.id, index=asked.index, loss=2.0 - is_real)
            if is_real:
                shares = tuple(float(place + 1) / 8 for place in range(count))
                line = dataclasses.replace(
                    line, cross_attention=(0.0,) * (count - 1) + (1.0,), self_attention=shares,
                    cross_attention_change=0.25, self_attention_before=1 - sum(shares),
                )  # fmt: skip
            yield line

    def _answer(self, questions: Questions, asked: Asked, batch: Batch) -> Prediction:
        colour = batch.latents[asked.prompts[0].pictures[-1]][0]
        item = asked.item
        distance = {
            query.medium: np.abs(
                np.subtract(miniatures.colour(query.medium.rpartition("/")[2]), colour)
            ).max()
            for query in questions.queries
        }
        seen = min(distance, key=lambda medium: distance[medium])
        if distance[seen] > 6:  # nothing that is asked about, such as black
            answer, label = "nothing", -1
        elif seen == item.medium:
            answer, label = item.answers[0], item.label
        else:
            other = next(query for query in questions.queries if query.medium == seen)
            answer, label = other.answers[0], other.label
        candidates = questions.benchmark.candidates
        return Prediction(
            query=item.id, index=asked.index, medium=item.medium,
            support=tuple(questions.support.items[row].id for row in asked.support),
            prompt=asked.text, output=answer, answer=answer, score=0.0, references=item.answers,
            scores=tuple(float(number == label) for number in range(len(candidates))),
            label=item.label,
        )  # fmt: skip


@pytest.fixture(autouse=True)
def _oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_runner, "BenchmarkAnswers", Oracle)
    monkeypatch.setattr(benchmark_runner, "PictureEncoder", Eye)
    monkeypatch.setattr(Oracle, "stop_after", None)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks")
    for name in TASKS:
        miniatures.MINIATURES[name](folder)
    return folder


def config(data_dir: Path, **changes: Any) -> BenchmarkEvaluationConfig:
    fields: dict[str, Any] = {
        "tasks": TASKS, "data_dir": str(data_dir), "shots": (0, 2), "batch_size": 2,
    }  # fmt: skip
    return BenchmarkEvaluationConfig(**(fields | changes))


def evaluate(asked: BenchmarkEvaluationConfig, folder: Path) -> list[results.Result]:
    path = folder / "results.jsonl"
    benchmark_runner.evaluate(asked, open_benchmarks(asked), MODEL, folder, path)
    return results.read(path)


def scores(found: list[results.Result]) -> list[results.Result]:
    """Without the numbers of grounding."""
    return [result for result in found if result.metric in benchmark_scoring.METRICS]


def test_who_sees_the_pictures_is_right_and_who_sees_others_is_not(
    data_dir: Path, tmp_path: Path
) -> None:
    found = scores(evaluate(config(data_dir), tmp_path))
    assert len(found) == len(TASKS) * 2 * 3
    by_way = {(r.task, r.shots, r.images): r.value for r in found}
    for task in TASKS:
        for shots in (0, 2):
            real, zeroed, swapped = (
                by_way[task, shots, images] for images in ("real", "zeroed", "swapped")
            )
            assert zeroed < real and swapped < real
            # Of ten people one or two gave the first answer of a miniature, and captions are few.
            assert real == 100 or task in ("vqav2", "coco")


def test_seeds_change_shots_and_ask_nothing_twice(data_dir: Path, tmp_path: Path) -> None:
    asked = config(
        data_dir, tasks=("imagenet", "vqav2"), seeds=3, first_seed=5, controls=(),
        selections=("random", "rices"),
    )  # fmt: skip
    found = evaluate(asked, tmp_path)
    # A closed 0-shot prompt and RICES have nothing that a seed could change.
    assert {(r.task, r.shots, r.selection, r.seed) for r in found} == {
        ("imagenet", 0, "none", 5),
        *(("imagenet", 2, "random", seed) for seed in (5, 6, 7)),
        ("imagenet", 2, "rices", 5),
        *(("vqav2", 0, "none", seed) for seed in (5, 6, 7)),
        *(("vqav2", 2, "random", seed) for seed in (5, 6, 7)),
        ("vqav2", 2, "rices", 5),
    }
    chosen = [
        tuple(line.support for line in read_predictions(tmp_path / "predictions" / f"{name}.jsonl"))
        for name in ("imagenet-2-5", "imagenet-2-6", "imagenet-2-7", "imagenet-2-5-rices")
    ]
    assert len(set(chosen)) == 4


def test_an_interrupted_run_asks_only_the_batches_that_are_left(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = config(data_dir, tasks=("imagenet",), shots=(2,), controls=("swapped",))
    whole = evaluate(asked, tmp_path / "whole")
    everything = Oracle.batches
    assert [len(batch) for batch in everything] == [2, 2, 2] * 2

    monkeypatch.setattr(Oracle, "stop_after", 2)
    with pytest.raises(KeyboardInterrupt):
        evaluate(asked, tmp_path / "parts")
    path = tmp_path / "parts" / "predictions" / "imagenet-2-0.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 4
    # Killed in the second batch: its first line and half of the other are there.
    path.write_bytes(b"".join(lines[:3]) + lines[3][:9])

    monkeypatch.setattr(Oracle, "stop_after", None)
    assert evaluate(asked, tmp_path / "parts") == whole
    assert Oracle.batches == everything[1:]
    for file in (tmp_path / "whole").rglob("*.json*"):
        other = tmp_path / "parts" / file.relative_to(tmp_path / "whole")
        assert other.read_bytes() == file.read_bytes()


def test_more_queries_go_on_from_fewer(data_dir: Path, tmp_path: Path) -> None:
    asked = config(data_dir, tasks=("imagenet",), shots=(0,), controls=(), num_queries=2)
    assert [r.n for r in evaluate(asked, tmp_path)] == [2]
    assert [r.n for r in evaluate(dataclasses.replace(asked, num_queries=5), tmp_path)] == [5]
    assert [len(batch) for batch in Oracle.batches] == [2, 1]
    assert [r.n for r in evaluate(asked, tmp_path)] == [2]
    assert Oracle.batches == []


def test_controls_ask_as_many_as_they_should(data_dir: Path, tmp_path: Path) -> None:
    asked = config(data_dir, tasks=("imagenet",), shots=(0,), num_control_queries=3)
    assert {(r.images, r.n) for r in scores(evaluate(asked, tmp_path))} == {
        ("real", 6), ("zeroed", 3), ("swapped", 3),
    }  # fmt: skip


def test_the_loss_is_that_of_the_same_queries(data_dir: Path, tmp_path: Path) -> None:
    asked = config(data_dir, tasks=("imagenet",), shots=(2,), num_control_queries=3)
    found = [r for r in evaluate(asked, tmp_path) if r.metric == "loss"]
    assert {(r.images, r.value, r.n) for r in found} == {
        ("real", 1.0, 3), ("zeroed", 2.0, 3), ("swapped", 2.0, 3),
    }  # fmt: skip
    # The batch in which the third query is has one more, of which only the answer is wanted.
    assert [len(batch) for batch in Oracle.batches] == [2, 2, 2] + [2, 1] * 2
    assert [len(batch) for batch in Oracle.grounded] == [2, 1] * 3
    folder = tmp_path / "grounding"
    real, zeroed, swapped = (
        [line.query for line in read_groundings(folder / f"imagenet-2-0{way}.jsonl")]
        for way in ("", "-zeroed", "-swapped")
    )
    assert real == zeroed == swapped == [*Oracle.batches[0], Oracle.batches[1][0]]


def test_grounding_goes_on_where_it_was(data_dir: Path, tmp_path: Path) -> None:
    asked = config(
        data_dir, tasks=("imagenet",), shots=(0,), controls=("swapped",), num_control_queries=3
    )
    whole = evaluate(asked, tmp_path / "whole")
    few = dataclasses.replace(asked, num_control_queries=2)
    evaluate(few, tmp_path / "parts")
    # Killed between an answer and what is measured beside it.
    path = tmp_path / "parts" / "grounding" / "imagenet-0-0.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:9])
    assert evaluate(asked, tmp_path / "parts") == whole
    assert [len(batch) for batch in Oracle.grounded] == [2, 1, 1]
    assert [len(batch) for batch in Oracle.batches] == [1]  # of the control; the others are there
    for file in (tmp_path / "whole").rglob("*.json*"):
        other = tmp_path / "parts" / file.relative_to(tmp_path / "whole")
        assert sorted(other.read_bytes()) == sorted(file.read_bytes())


def test_attention_by_picture_is_written_beside_the_results(data_dir: Path, tmp_path: Path) -> None:
    asked = config(data_dir, tasks=("imagenet", "coco"))
    found = evaluate(asked, tmp_path)
    by_key = {(r.task, r.shots, r.metric): (r.value, r.images) for r in found if r.shots}
    for metric, value in (
        ("cross_attention_change", 25.0), ("cross_attention_to_query", 100.0),
        ("self_attention_to_query", 37.5), ("self_attention_to_shots", 37.5),
    ):  # fmt: skip
        assert by_key["coco", 2, metric] == (value, "real")
    lines = [json.loads(line) for line in (tmp_path / "attention.jsonl").read_text().splitlines()]
    assert [(line["task"], line["shots"]) for line in lines] == [
        ("imagenet", 0), ("imagenet", 2), ("coco", 0), ("coco", 2),
    ]  # fmt: skip
    assert lines[1]["self_attention"] == [0.125, 0.25, 0.375] and lines[1]["n"] == 6
    assert lines[1]["self_attention_before"] == 0.25
    assert lines[1]["cross_attention"] == [0.0, 0.0, 1.0]
    # Measured again, a line takes the place of its earlier one.
    evaluate(dataclasses.replace(asked, tasks=("imagenet",)), tmp_path)
    assert len((tmp_path / "attention.jsonl").read_text().splitlines()) == 4


def test_without_controls_nothing_is_measured_beside_answers(
    data_dir: Path, tmp_path: Path
) -> None:
    found = evaluate(config(data_dir, tasks=("imagenet",), controls=()), tmp_path)
    assert scores(found) == found and Oracle.grounded == []
    assert not (tmp_path / "grounding").exists() and not (tmp_path / "attention.jsonl").exists()


def test_answers_of_another_model_or_config_are_refused(data_dir: Path, tmp_path: Path) -> None:
    asked = config(data_dir, tasks=("imagenet",))
    evaluate(asked, tmp_path)
    with pytest.raises(UserError, match="imagenet-0-0.jsonl has predictions of config_hash"):
        evaluate(dataclasses.replace(asked, mean_log_likelihood=True), tmp_path)
    other = SimpleNamespace(**(vars(MODEL) | {"checkpoint": "flamingo/2/def"}))
    with pytest.raises(UserError, match="has predictions of checkpoint 'flamingo/1/abc', not"):
        benchmark_runner.evaluate(
            asked, open_benchmarks(asked), other, tmp_path, tmp_path / "results.jsonl"
        )


def test_too_little_support_is_said(data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="vqav2: 32 shots are asked for, but its support has 6"):
        evaluate(config(data_dir, tasks=("vqav2",), shots=(32,)), tmp_path)


def test_missing_files_are_said_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="okvqa: there is no folder .* get the files from https"):
        open_benchmarks(config(tmp_path, tasks=("okvqa",)))
    with pytest.raises(UserError, match=r"config\.wordnet is empty"):
        open_benchmarks(config(tmp_path, tasks=("okvqa", "nextqa")))


def test_a_picture_that_is_not_there_is_named(data_dir: Path, tmp_path: Path) -> None:
    folder = miniatures.coco(tmp_path / "data")
    gone = folder / "val2014" / "COCO_val2014_000000060623.jpg"
    gone.unlink()
    asked = config(tmp_path / "data", tasks=("coco",), shots=(0,))
    with pytest.raises(UserError, match="coco: there is no file .*_000000060623.jpg"):
        evaluate(asked, tmp_path)
    gone.write_bytes(b"no picture")
    with pytest.raises(UserError, match="_000000060623.jpg' cannot be shown"):
        evaluate(asked, tmp_path)


def test_time_left_follows_the_speed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr(benchmark_runner.time, "monotonic", lambda: clock[0])
    progress = benchmark_runner._Progress([10, 90])
    clock[0] += 5
    progress.add(1, "too early")
    clock[0] += 15
    progress.add(9, "coco: 8/80 queries")
    clock[0] += 3600
    progress.add(40, "coco: 40/80 queries")
    assert capsys.readouterr().out.splitlines() == [
        "coco: 8/80 queries | 3m 00s left", "coco: 40/80 queries | 1h 00m left",
    ]  # fmt: skip
