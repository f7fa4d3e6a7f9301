"""From files of what the contrastive model found to its numbers, without a model.

A run scores what it has written, by reading it again: scoring later is the same computation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flamingo_jax.config_evaluation import BenchmarkEvaluationConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation import file_retrieval, predictions, results, two_tower_predictions
from flamingo_jax.evaluation.metrics.retrieval import hits
from flamingo_jax.evaluation.predictions import Origin
from flamingo_jax.evaluation.results import Result
from flamingo_jax.evaluation.scoring import Score, summarise
from flamingo_jax.evaluation.two_tower_predictions import NUM_ASKED, TwoTowerPrediction
from flamingo_jax.evaluation.two_tower_tasks import TASKS


def score_file(path: Path, origin: Origin) -> list[Result]:
    """Scores what the contrastive model found.

    Args:
      path: the file of predictions.
      origin: what they are of.

    Raises:
      UserError: the file is damaged.
    """
    given = two_tower_predictions.read(path)
    captions = [line.right for line in given if line.direction == file_retrieval.IMAGE_TO_TEXT]
    num_lines = origin.protocol[NUM_ASKED] + sum(map(len, captions))
    if len(given) != num_lines:
        raise UserError(f"{path} has {len(given)} lines, not {num_lines}: move it away")
    measure = _classification if origin.protocol["metric"] else _retrieval
    return [
        Result(
            task=origin.task, split=origin.split, shots=origin.shots, selection=origin.selection,
            images=origin.images, seed=origin.seed, metric=score.metric, value=score.value,
            stderr=score.stderr, n=score.n, config_hash=origin.config_hash,
            checkpoint=origin.checkpoint,
        )
        for score in measure(given, origin.protocol)
    ]  # fmt: skip


def _classification(
    given: Sequence[TwoTowerPrediction], protocol: Mapping[str, Any]
) -> list[Score]:
    points_KN = [hits(k, _num_wrong_ahead(given)) for k in protocol["cutoffs"]]
    return [summarise(protocol["metric"], np.mean(points_KN, axis=0))]


def _retrieval(given: Sequence[TwoTowerPrediction], protocol: Mapping[str, Any]) -> list[Score]:
    del protocol  # Cutoffs are the same in all published numbers.
    scores = []
    for direction in (file_retrieval.IMAGE_TO_TEXT, file_retrieval.TEXT_TO_IMAGE):
        lines = [line for line in given if line.direction == direction]
        places: dict[str, int] = {}
        image_Q = np.array([places.setdefault(line.picture, len(places)) for line in lines])
        scores += file_retrieval.score_retrieval(direction, _num_wrong_ahead(lines), image_Q)
    return scores


def _num_wrong_ahead(given: Sequence[TwoTowerPrediction]) -> np.ndarray:
    return np.array([line.rank for line in given]) - 1


def rescore(config: BenchmarkEvaluationConfig, folder: Path, results_path: Path) -> list[str]:
    """Computes the contrastive model's numbers anew from what it found.

    Args:
      config: which tasks, and of how many queries.
      folder: of the predictions.
      results_path: `results.jsonl`; a number of the same kind is replaced.

    Returns:
      A line about each number.

    Raises:
      UserError: there are no predictions of these tasks, or a file is damaged.
    """
    lines = []
    for header in predictions.headers(folder):
        origin = predictions.read_origin(header)
        if origin.task in TASKS and _is_meant(config, origin):
            for result in score_file(predictions.lines_of(header), origin):
                results.append(results_path, result)
                lines.append(told(result))
    if not lines:
        names = ", ".join(name for name in config.tasks if name in TASKS)
        raise UserError(
            f"there are no predictions of {names} in {str(folder)!r}, or of another"
            " config.num_queries: evaluate without --config.rescore first"
        )
    return lines


def _is_meant(config: BenchmarkEvaluationConfig, origin: Origin) -> bool:
    total = origin.num_queries
    num_asked: int = origin.protocol[NUM_ASKED]
    return origin.task in config.tasks and num_asked == min(config.num_queries or total, total)


def told(result: Result) -> str:
    """A number with its error, as it is printed."""
    return (
        f"{result.task}, {result.images} pictures: {result.metric} {result.value:.2f}"
        f" ± {result.stderr:.2f} (n = {result.n})"
    )
