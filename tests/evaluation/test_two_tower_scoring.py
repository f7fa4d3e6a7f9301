"""Numbers from what the contrastive model wrote down: those of the whole matrix of similarities."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamingo_jax.config_evaluation import BenchmarkEvaluationConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation import results, two_tower_predictions
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.file_retrieval import captions
from flamingo_jax.evaluation.metrics.accuracy import mean_top1_top5
from flamingo_jax.evaluation.metrics.retrieval import recall_at
from flamingo_jax.evaluation.predictions import claim, read_origin
from flamingo_jax.evaluation.results import Result
from flamingo_jax.evaluation.scoring import summarise
from flamingo_jax.evaluation.two_tower_ranks import rank_candidates
from flamingo_jax.evaluation.two_tower_scoring import rescore, score_file
from flamingo_jax.evaluation.two_tower_tasks import TASKS, OpenedTask

NUM_ITEMS, NUM_CLASSES = 30, 12


def _few_levels(count: int, seed: int) -> np.ndarray:
    """Embeddings of so few levels that many similarities are equal, and exactly so."""
    random = np.random.default_rng(seed)
    return random.integers(-1, 2, size=(count, 4)).astype(np.float32)


def _task(name: str) -> OpenedTask:
    random = np.random.default_rng(0)
    items = [
        Item(
            id=f"id{number}", medium=f"{number}.jpg", label=number % NUM_CLASSES,
            answers=tuple(f"text {number} {n}" for n in range(random.integers(1, 8))),
        )
        for number in range(NUM_ITEMS)
    ]  # fmt: skip
    media: Any = None
    candidates = () if TASKS[name].is_retrieval else tuple(f"c{n}" for n in range(NUM_CLASSES))
    benchmark = Benchmark(
        name=TASKS[name].benchmark, split="val", queries=items, support=[], query_media=media,
        support_media=media, candidates=candidates,
    )  # fmt: skip
    return OpenedTask(
        name=name, task=TASKS[name], benchmark=benchmark, queries=tuple(items), templates=("a",)
    )


def _write_retrieval(folder: Path) -> tuple[Path, np.ndarray, np.ndarray]:
    """The file, the matrix of similarities and which of them are right."""
    task = _task("coco_retrieval")
    texts, image_T = captions(task.queries)
    image_IE, text_TE = _few_levels(NUM_ITEMS, 1), _few_levels(len(texts), 2)
    image_I = np.arange(NUM_ITEMS)
    lines = two_tower_predictions.of_retrieval(
        task.queries, task.queries,
        rank_candidates(image_IE, image_I, text_TE, image_T, 10),
        rank_candidates(text_TE, image_T, image_IE, image_I, 10),
    )  # fmt: skip
    origin = two_tower_predictions.origin_of(task, "real", "0" * 12, "contrastive/1/a")
    path = claim(folder, origin, two_tower_predictions.file_name(origin))
    two_tower_predictions.write(path, lines)
    return path, image_IE @ text_TE.T, image_I[:, None] == image_T


def _found(path: Path) -> dict[str, Result]:
    origin = read_origin(path.with_suffix(".json"))
    return {result.metric: result for result in score_file(path, origin)}


def test_recall_is_that_of_all_similarities(tmp_path: Path) -> None:
    path, similarity_IT, is_right_IT = _write_retrieval(tmp_path)
    found = _found(path)
    assert len(found) == 6
    for k in (1, 5, 10):
        recall = recall_at(k, similarity_IT, is_right_IT)
        for direction, points_Q in (
            ("image_to_text", recall.image_to_text), ("text_to_image", recall.text_to_image),
        ):  # fmt: skip
            result = found[f"{direction}_recall_at_{k}"]
            assert (result.value, result.n) == (points_Q.mean(), len(points_Q))
    assert 0 < found["image_to_text_recall_at_5"].value < 100


def test_lines_tell_what_was_found(tmp_path: Path) -> None:
    path, similarity_IT, is_right_IT = _write_retrieval(tmp_path)
    lines = two_tower_predictions.read(path)
    items = _task("coco_retrieval").queries
    ids = [f"{item.id}#{n}" for item in items for n in range(min(len(item.answers), 5))]
    assert [line.query for line in lines] == [*(item.id for item in items), *ids]
    by_id = {name: place for place, name in enumerate(ids)}
    for place, line in enumerate(lines[:NUM_ITEMS]):
        assert line.medium == items[place].medium and line.text == ""
        assert [by_id[name] for name in line.right] == np.flatnonzero(is_right_IT[place]).tolist()
        assert line.similarity == max(similarity_IT[place, by_id[name]] for name in line.right)
        assert len(line.best) == 10
        assert list(line.similarities) == [similarity_IT[place, by_id[name]] for name in line.best]
        assert line.similarities == tuple(sorted(similarity_IT[place])[:-11:-1])
    for place, line in enumerate(lines[NUM_ITEMS:]):
        (picture,) = line.right
        assert picture == line.picture == line.query.split("#")[0]
        assert line.text == f"text {picture[2:]} {line.query.split('#')[1]}" and line.medium == ""
        assert line.similarity == similarity_IT[int(picture[2:]), place]


@pytest.mark.parametrize("name", ["imagenet_zero_shot", "kinetics700_zero_shot"])
def test_accuracy_is_that_of_all_similarities(tmp_path: Path, name: str) -> None:
    task = _task(name)
    image_NE, class_CE = _few_levels(NUM_ITEMS, 3), _few_levels(NUM_CLASSES, 4)
    labels = [item.label for item in task.queries]
    ranks = rank_candidates(image_NE, np.array(labels), class_CE, np.arange(NUM_CLASSES), 5)
    names = task.benchmark.candidates
    lines = two_tower_predictions.of_classes(task.queries, task.queries, names, ranks)
    origin = two_tower_predictions.origin_of(task, "swapped", "0" * 12, "contrastive/1/a")
    assert two_tower_predictions.file_name(origin) == f"{name}-swapped"
    path = claim(tmp_path, origin, f"{name}-swapped")
    two_tower_predictions.write(path, lines)
    similarity_NC = image_NE @ class_CE.T
    own_N = similarity_NC[np.arange(NUM_ITEMS), labels]
    is_first_N = (similarity_NC >= own_N[:, None]).sum(axis=1) == 1
    points_N = 100.0 * is_first_N
    if name == "kinetics700_zero_shot":
        points_N = mean_top1_top5(similarity_NC, labels)
    (result,) = score_file(path, origin)
    expected = summarise(TASKS[name].metric, points_N)
    assert (result.metric, result.value, result.stderr, result.n) == expected
    assert 0 < result.value < 100 and result.images == "swapped"
    assert [len(line.best) for line in lines] == [5] * NUM_ITEMS
    assert lines[3].right == ("c3",) and lines[3].similarity == own_N[3]


def test_rescoring_takes_what_is_asked_for(tmp_path: Path) -> None:
    path, *_ = _write_retrieval(tmp_path / "predictions")
    config = BenchmarkEvaluationConfig(tasks=("coco", "coco_retrieval"))
    lines = rescore(config, path.parent, tmp_path / "results.jsonl")
    assert len(lines) == 6 and lines[0].startswith("coco_retrieval, real pictures: image_to_text")
    assert {r.metric: r for r in results.read(tmp_path / "results.jsonl")} == _found(path)
    # The same number, said otherwise; another number was never asked.
    rescore(dataclasses.replace(config, num_queries=99), path.parent, tmp_path / "results.jsonl")
    for changes in ({"num_queries": 9}, {"tasks": ("coco", "flickr30k_retrieval")}):
        with pytest.raises(UserError, match=r"there are no predictions of (coco|flickr30k)_retr"):
            rescore(dataclasses.replace(config, **changes), path.parent, tmp_path / "r.jsonl")


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path, *_ = _write_retrieval(tmp_path)
    content = path.read_text()
    lines = content.splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    with pytest.raises(UserError, match=rf"retrieval.jsonl has {len(lines) - 1} lines, not"):
        _found(path)
    path.write_text("".join([*lines[:4], *lines[5:]]))
    with pytest.raises(UserError, match="queries are missing: move the file away"):
        _found(path)
    path.write_text("".join([lines[0], json.dumps({"query": "a"}) + "\n"]))
    with pytest.raises(UserError, match="line 2 is no prediction .its fields are query"):
        _found(path)
