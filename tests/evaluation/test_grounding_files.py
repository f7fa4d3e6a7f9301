"""What is measured beside answers: lines on disk, and the numbers that come of them."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamingo_jax.config_evaluation import BenchmarkEvaluationConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation import benchmark_scoring, results
from flamingo_jax.evaluation.grounding_files import (
    Grounding,
    GroundingFile,
    read_groundings,
    score_file,
)
from flamingo_jax.evaluation.predictions import Origin, Prediction, PredictionFile

ORIGIN = Origin(
    task="coco", split="test", shots=2, selection="random", images="real", seed=1,
    config_hash="abc", checkpoint="flamingo/1/def", num_queries=4,
    protocol={"metric": "cider", "decode": "generate"}, candidates=("a", "b"),
)  # fmt: skip
LOSSES = (1.0, 2.5, 0.25, 4.0)


def line(number: int, **fields: Any) -> Grounding:
    shift = number / 16
    given: dict[str, Any] = {
        "query": f"q{number}", "index": number, "reference": "a dog", "loss": LOSSES[number],
        "cross_attention": (0.0, 0.25, 0.75), "cross_attention_change": 0.5 + shift,
        "self_attention": (0.125, 0.25 - shift, 0.5), "self_attention_before": 0.125 + shift,
    }  # fmt: skip
    return Grounding(**(given | fields))


def write(folder: Path, *lines: Grounding, **changes: Any) -> GroundingFile:
    file = GroundingFile(folder / "grounding", dataclasses.replace(ORIGIN, **changes))
    file.append(lines)
    return file


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    written = [line(2), line(0, reference="", loss=None), Grounding(query="q9", index=9)]
    file = write(tmp_path, *written)
    assert file.path == tmp_path / "grounding" / "coco-2-1.jsonl"
    assert list(read_groundings(file.path)) == written
    assert write(tmp_path).answered == {"q2", "q0", "q9"}


def test_lines_of_another_model_or_of_none_are_refused(tmp_path: Path) -> None:
    write(tmp_path, line(0))
    with pytest.raises(UserError, match="of checkpoint 'flamingo/1/def', not 'flamingo/2/x'"):
        write(tmp_path, checkpoint="flamingo/2/x")
    with pytest.raises(UserError, match="for query 'q1' are not finite"):
        write(tmp_path, line(1, loss=math.nan))
    path = tmp_path / "grounding" / "coco-2-1.jsonl"
    path.write_text('{"query": "q1", "index": 1, "loss": 0.5}\n')
    with pytest.raises(UserError, match="line 1 is no line about a query's grounding"):
        write(tmp_path)


def test_numbers_are_means_over_the_first_queries(tmp_path: Path) -> None:
    file = write(tmp_path, *(line(number) for number in (3, 1, 0, 2)))
    path = tmp_path / "results.jsonl"
    assert score_file(file.path, ORIGIN, 3, path) == "loss 1.250 ± 0.661 (n = 3)"
    found = {result.metric: result for result in results.read(path)}
    assert found["loss"].value == np.mean(LOSSES[:3])
    assert found["loss"].stderr == pytest.approx(np.std(LOSSES[:3], ddof=1) / math.sqrt(3))
    assert {r.key[:6] for r in found.values()} == {("coco", "test", 2, "random", "real", 1)}
    assert {r.n for r in found.values()} == {3}
    values = {metric: result.value for metric, result in found.items() if metric != "loss"}
    assert values == {
        "cross_attention_change": 56.25, "cross_attention_to_query": 75.0,
        "self_attention_to_query": 50.0, "self_attention_to_shots": 31.25,
    }  # fmt: skip
    (text,) = (tmp_path / "attention.jsonl").read_text().splitlines()
    assert json.loads(text) == {
        "task": "coco", "split": "test", "shots": 2, "selection": "random", "seed": 1, "n": 3,
        "cross_attention": [0.0, 0.25, 0.75], "cross_attention_change": 0.5625,
        "self_attention": [0.125, 0.1875, 0.5], "self_attention_before": 0.1875,
        "config_hash": "abc", "checkpoint": "flamingo/1/def",
    }  # fmt: skip


def test_controls_have_a_loss_alone(tmp_path: Path) -> None:
    lines = [
        Grounding(query=f"q{number}", index=number, reference="a", loss=loss)
        for number, loss in enumerate(LOSSES)
    ]
    file = write(tmp_path, *lines, images="zeroed")
    score_file(file.path, file.origin, 0, tmp_path / "results.jsonl")
    (result,) = results.read(tmp_path / "results.jsonl")
    assert (result.metric, result.images, result.value) == ("loss", "zeroed", np.mean(LOSSES))
    assert not (tmp_path / "attention.jsonl").exists()


def test_without_right_answers_there_is_attention_alone(tmp_path: Path) -> None:
    unknown = {"reference": "", "loss": None}
    file = write(tmp_path, *(line(number, **unknown) for number in range(4)), shots=0)
    path = tmp_path / "results.jsonl"
    assert score_file(file.path, file.origin, 0, path) == "no loss without right answers"
    assert "loss" not in {result.metric for result in results.read(path)}
    # Some may be known, as those of positive clips are.
    some = write(tmp_path, *(line(n, **(unknown if n < 2 else {})) for n in range(4)), seed=2)
    score_file(some.path, some.origin, 0, path)
    (loss,) = (result for result in results.read(path) if result.metric == "loss")
    assert (loss.value, loss.n) == (np.mean(LOSSES[2:]), 2)


def test_a_part_of_the_queries_gives_no_number(tmp_path: Path) -> None:
    file = write(tmp_path, line(0), line(2))
    assert score_file(file.path, ORIGIN, 3, tmp_path / "r.jsonl") == "loss of 2 of 3 queries"
    assert not (tmp_path / "r.jsonl").exists()


def test_rescoring_takes_what_is_measured_along(tmp_path: Path) -> None:
    predictions = PredictionFile(tmp_path / "predictions", ORIGIN)
    predictions.append(
        Prediction(
            query=f"q{number}", index=number, medium="m", support=(), prompt="", output="a dog",
            answer="a dog", score=-1.0, references=("a dog",),
        )
        for number in range(4)
    )  # fmt: skip
    write(tmp_path, *map(line, range(4)))
    write(tmp_path, *map(line, range(4)), task="vqav2")
    config = BenchmarkEvaluationConfig(tasks=("coco",), first_seed=1, num_control_queries=3)
    path = tmp_path / "results.jsonl"
    first, second = benchmark_scoring.rescore(config, tmp_path / "predictions", path)
    assert first.startswith("coco-2-1: cider ") and second.startswith("coco-2-1: loss 1.250")
    (loss,) = (result for result in results.read(path) if result.metric == "loss")
    assert (loss.task, loss.n) == ("coco", 3)
    without = dataclasses.replace(config, controls=())
    assert benchmark_scoring.rescore(without, tmp_path / "predictions", path) == [first]
