"""Numbers of predictions: those of the measures, joined by query, whatever the order of lines."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamingo_jax.config_evaluation import BenchmarkEvaluationConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation import benchmark_scoring, results
from flamingo_jax.evaluation.benchmark_scoring import Resources, rescore, score_file
from flamingo_jax.evaluation.benchmark_task import TASKS
from flamingo_jax.evaluation.metrics.cider import cider
from flamingo_jax.evaluation.predictions import Origin, Prediction, PredictionFile, headers
from tests.evaluation.metrics import tiny_wordnet


def origin(task: str, count: int, **changes: Any) -> Origin:
    fields: dict[str, Any] = {
        "task": task, "split": "test", "shots": 0, "selection": "none", "images": "real",
        "seed": 0, "config_hash": "abc", "checkpoint": "flamingo/1/def", "num_queries": count,
        "protocol": TASKS[task].protocol,
    }  # fmt: skip
    return Origin(**(fields | changes))


def prediction(number: int, **fields: Any) -> Prediction:
    given: dict[str, Any] = {
        "query": f"q{number}", "index": number, "medium": "m", "support": (), "prompt": "",
        "output": "", "answer": "", "score": -1.0,
    }  # fmt: skip
    return Prediction(**(given | fields))


def score(
    folder: Path, task: str, given: Sequence[dict[str, Any]], **resources: str
) -> benchmark_scoring.Scored:
    lines = [prediction(number, **fields) for number, fields in enumerate(given)]
    random.Random(0).shuffle(lines)
    file = PredictionFile(folder, origin(task, len(given)))
    file.append(lines)
    return score_file(file.path, file.origin, 0, Resources(**resources))


def value(folder: Path, task: str, given: Sequence[dict[str, Any]], **resources: str) -> float:
    result = score(folder, task, given, **resources).result
    assert result is not None and result.metric == TASKS[task].metric
    assert result.stderr >= 0
    return result.value


TEN = ("red",) * 3 + ("pink",) * 7
RANKED = [
    {"scores": (-1.0, -2.0, -3.0), "label": 0},
    {"scores": (-1.0, -2.0, -3.0), "label": 2},
    {"scores": (-3.0, -1.0, -1.0), "label": 1},  # a tie is a miss
    {"scores": (-3.0, -1.0, -2.0), "label": 1},
]


def test_captions_are_scored_over_all_queries_together(tmp_path: Path) -> None:
    answers = ["a dog runs on the grass", "two cats sleep on a bed", "a boy"]
    references = [("a dog runs on grass",), ("cats sleep on a bed", "two cats"), ("a bus stops",)]
    given = [
        {"answer": answer, "references": texts}
        for answer, texts in zip(answers, references, strict=True)
    ]
    assert value(tmp_path, "coco", given) == cider(answers, references).mean()


@pytest.mark.parametrize(
    ("task", "given", "points"),
    [
        ("vqav2", [{"answer": "red", "references": TEN}, {"answer": "Pink.", "references": TEN}],
         95.0),
        ("vizwiz", [{"answer": "Red", "references": TEN}, {"answer": "blue", "references": TEN}],
         45.0),
        ("msvdqa", [{"answer": "Play.", "references": ("play",)},
                    {"answer": "played", "references": ("play",)}], 50.0),
        ("ivqa", [{"answer": "pot", "references": ("pot", "pan", "pan", "a", "b")},
                  {"answer": "pan", "references": ("pot", "pan", "pan", "a", "b")}], 75.0),
        ("imagenet", RANKED, 50.0),
        ("kinetics700", RANKED, 75.0),
        ("star", RANKED, 50.0),
        ("hateful_memes", [
            {"scores": (-1.0, -2.0), "label": 0}, {"scores": (-5.0, -5.5), "label": 1},
            {"scores": (-2.0, -1.0), "label": 1},
        ], 100.0),
        ("visdial", [
            {"scores": (-1.0, -2.0), "details": {"relevance": [1.0, 0.0]}},
            {"scores": (-1.0, -2.0), "details": {"relevance": [0.0, 1.0]}},
        ], 50.0),
    ],
)  # fmt: skip
def test_every_measure_is_that_of_its_benchmark(
    tmp_path: Path, task: str, given: list[dict[str, Any]], points: float
) -> None:
    assert value(tmp_path, task, given) == pytest.approx(points)


def test_words_near_in_meaning_count_for_next_qa(tmp_path: Path) -> None:
    tiny_wordnet.write(tmp_path)
    given = [
        {"answer": "dog", "references": ("dog",), "details": {"type": "TN"}},
        {"answer": "cat", "references": ("dog",), "details": {"type": "TN"}},
        {"answer": "cat", "references": ("dog",), "details": {"type": "DC"}},
    ]
    points = value(tmp_path / "predictions", "nextqa", given, wordnet=str(tmp_path))
    near = 3 * points - 100
    assert 0 < near < 100  # the second, but not the third, which is right or wrong
    benchmark_scoring.check_resources("cider", Resources())
    with pytest.raises(UserError, match=r"config\.wordnet is empty, but NExT-QA's measure"):
        benchmark_scoring.check_resources("wups", Resources())


def test_unusual_actions_are_ranked_by_class(tmp_path: Path) -> None:
    def clip(video: str, class_id: int, annotation: int, *scores: float) -> dict[str, Any]:
        names = (("hammer", "phone"), ("wash", "egg"))[class_id]
        details = {
            "video": video, "verb": names[0], "noun": names[1], "class_id": class_id,
            "annotation": annotation,
        }  # fmt: skip
        return {"scores": scores, "details": details}

    right = [clip("a", 0, 1, -1, -3), clip("b", 1, 1, -3, -1), clip("c", 0, 0, -4, -4)]
    assert value(tmp_path / "right", "rareact", right) == pytest.approx(100)
    wrong = [clip("a", 0, 1, -5, -3), clip("b", 1, 1, -3, -5), clip("c", 0, 0, -4, -4)]
    assert value(tmp_path / "wrong", "rareact", wrong) < 50


def test_a_part_of_the_answers_is_no_number(tmp_path: Path) -> None:
    file = PredictionFile(tmp_path, origin("msvdqa", 3))
    file.append([prediction(number, answer="a", references=("a",)) for number in (0, 2)])
    scored = score_file(file.path, file.origin, 0, Resources())
    assert (scored.result, scored.note) == (None, "2 of 3 queries are answered")
    # Nor is it one of the first two.
    assert score_file(file.path, file.origin, 2, Resources()).note == "1 of 2 queries are answered"


def test_more_answers_than_are_asked_for_do_not_count(tmp_path: Path) -> None:
    file = PredictionFile(tmp_path, origin("msvdqa", 9))
    answers = ("b", "a", "a")
    file.append([prediction(n, answer=text, references=("b",)) for n, text in enumerate(answers)])
    result = score_file(file.path, file.origin, 2, Resources()).result
    assert result is not None and (result.value, result.n) == (50.0, 2)


def test_what_nobody_gives_out_is_not_scored(tmp_path: Path) -> None:
    unlabelled = score(tmp_path, "star", [{"scores": (-1.0, -2.0)}] * 2)
    assert (unlabelled.result, unlabelled.note) == (
        None,
        "what is right in 'test' is not given out",
    )
    # Memes of one label have no ROC curve.
    one = [{"scores": (-1.0, -2.0), "label": 1}] * 2
    assert "roc_auc is not defined" in score(tmp_path, "hateful_memes", one).note


def test_answers_are_written_as_servers_take_them(tmp_path: Path) -> None:
    asked = [
        {"query": "426478000", "answer": "yes"},
        {"query": "187950001", "answer": "no", "medium": "test/VizWiz_test_00000000.jpg"},
    ]
    for task in ("vqav2", "vizwiz"):
        scored = score(tmp_path, task, asked)
        file = tmp_path / f"{task}-0-0-submission.json"
        assert scored.result is None
        assert scored.note == f"what is right in 'test' is not given out; to be sent in: {file}"
    assert json.loads((tmp_path / "vqav2-0-0-submission.json").read_text()) == [
        {"question_id": 426478000, "answer": "yes"}, {"question_id": 187950001, "answer": "no"},
    ]  # fmt: skip
    (_, second) = json.loads((tmp_path / "vizwiz-0-0-submission.json").read_text())
    assert second == {"image": "VizWiz_test_00000000.jpg", "answer": "no"}
    # It is no file of predictions.
    assert [header.stem for header in headers(tmp_path)] == ["vizwiz-0-0", "vqav2-0-0"]


def test_rescoring_takes_the_tasks_that_are_asked_for(tmp_path: Path) -> None:
    lines = [prediction(n, answer=t, references=("a",)) for n, t in enumerate("abaa")]
    for task in ("msvdqa", "msrvttqa"):
        for seed in (0, 1):
            PredictionFile(
                tmp_path, origin(task, 4, seed=seed, shots=2, selection="random")
            ).append(lines)
    config = BenchmarkEvaluationConfig(tasks=("msvdqa", "star"), seeds=1)
    (line,) = rescore(config, tmp_path, tmp_path / "results.jsonl")
    assert line == "msvdqa-2-0: exact_match 75.00 ± 25.00 (n = 4)"
    (result,) = results.read(tmp_path / "results.jsonl")
    assert (result.task, result.seed, result.value) == ("msvdqa", 0, 75.0)
    with pytest.raises(UserError, match="there are no predictions of star"):
        rescore(dataclasses.replace(config, tasks=("star",)), tmp_path, tmp_path / "r.jsonl")


def test_every_row_names_a_measure() -> None:
    assert {task.metric for task in TASKS.values()} == set(benchmark_scoring.METRICS)
    assert np.all([task.max_new_tokens > 0 for task in TASKS.values() if task.is_open])
