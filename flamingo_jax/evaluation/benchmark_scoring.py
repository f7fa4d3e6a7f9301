"""From files of predictions to numbers, with neither a model nor the benchmarks' own files.

A run scores what it has written, by reading it again: scoring later is the same computation.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from flamingo_jax.config_evaluation import REAL, BenchmarkEvaluationConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation import grounding_files, results
from flamingo_jax.evaluation import predictions as files
from flamingo_jax.evaluation.benchmark_task import TASKS
from flamingo_jax.evaluation.benchmarks.clip_benchmark import VIDEO
from flamingo_jax.evaluation.metrics.accuracy import mean_top1_top5, top1
from flamingo_jax.evaluation.metrics.bootstrap import bootstrap
from flamingo_jax.evaluation.metrics.cider import cider
from flamingo_jax.evaluation.metrics.exact_match import exact_match
from flamingo_jax.evaluation.metrics.ivqa_accuracy import ivqa_accuracy
from flamingo_jax.evaluation.metrics.mean_weighted_average_precision import (
    AnnotatedClip,
    MeanWeightedAveragePrecision,
)
from flamingo_jax.evaluation.metrics.ndcg import ndcg
from flamingo_jax.evaluation.metrics.roc_auc import RocAuc
from flamingo_jax.evaluation.metrics.vqa_accuracy import vizwiz_accuracy, vqa_accuracy
from flamingo_jax.evaluation.metrics.wordnet import WordNet
from flamingo_jax.evaluation.metrics.wups import wups
from flamingo_jax.evaluation.official_formats.answers import SAME_WORDS_TYPES
from flamingo_jax.evaluation.predictions import Origin, Prediction
from flamingo_jax.evaluation.results import Result
from flamingo_jax.evaluation.scoring import Score, summarise
from flamingo_jax.evaluation.submissions import write_submission

PREDICTIONS = "predictions"
"""Folder of the predictions in that of a run."""

WUPS = "wups"

Predictions = Sequence[Prediction]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources:
    """What measures read beside predictions; empty for what is not needed.

    Attributes:
      wordnet: folder of WordNet 3.0 (WUPS).
      stop_words: file of words that WUPS leaves out, one a line.
    """

    wordnet: str = ""
    stop_words: str = ""


def _texts(
    metric: str, measure: Callable[[Sequence[str], Sequence[Sequence[str]]], np.ndarray]
) -> Callable[[Predictions, Resources], Score]:
    def score(given: Predictions, resources: Resources) -> Score:
        del resources
        answers = [prediction.answer for prediction in given]
        return summarise(metric, measure(answers, [item.references for item in given]))

    return score


def _rankings(
    metric: str, measure: Callable[[Sequence[Sequence[float]], Sequence[int]], np.ndarray]
) -> Callable[[Predictions, Resources], Score]:
    def score(given: Predictions, resources: Resources) -> Score:
        del resources
        scores = [prediction.scores for prediction in given]
        return summarise(metric, measure(scores, [prediction.label for prediction in given]))

    return score


def _wups(given: Predictions, resources: Resources) -> Score:
    stop_words: list[str] = []
    if resources.stop_words:
        try:
            stop_words = Path(resources.stop_words).read_text(encoding="utf-8").split()
        except OSError as error:
            said = error.strerror or str(error)
            raise UserError(f"config.stop_words is {resources.stop_words!r}: {said}") from None
    scores = wups(
        [prediction.answer for prediction in given],
        [prediction.references for prediction in given],
        WordNet(resources.wordnet),
        needs_same_words=[item.details["type"] in SAME_WORDS_TYPES for item in given],
        stop_words=stop_words,
    )
    return summarise(WUPS, scores)


def _roc_auc(given: Predictions, resources: Resources) -> Score:
    """Of "yes", the second candidate, against "no"; the error by bootstrap."""
    del resources
    scores = np.array([prediction.scores for prediction in given], np.float64)
    area = RocAuc(scores[:, 1] - scores[:, 0], [prediction.label for prediction in given])
    stderr = bootstrap(area.of_draws, len(given)).stderr
    return Score("roc_auc", area.value(), stderr, len(given))


def _ndcg(given: Predictions, resources: Resources) -> Score:
    del resources
    relevance = [prediction.details["relevance"] for prediction in given]
    return summarise("ndcg", ndcg([prediction.scores for prediction in given], relevance))


def _mwap(given: Predictions, resources: Resources) -> Score:
    """Of all clips together; n counts the classes that the mean is over, the error is by videos."""
    del resources
    clips = [
        AnnotatedClip(
            video=item.details[VIDEO],
            verb=item.details["verb"],
            noun=item.details["noun"],
            class_id=item.details["class_id"],
            annotation=item.details["annotation"],
        )
        for item in given
    ]
    precision = MeanWeightedAveragePrecision(clips, np.array([item.scores for item in given]))
    value = float(precision.per_class().mean())
    stderr = bootstrap(precision.of_draws, precision.num_videos).stderr
    return Score("mwap", value, stderr, len(precision.classes))


METRICS: Mapping[str, Callable[[Predictions, Resources], Score]] = {
    "cider": _texts("cider", cider),
    "vqa_accuracy": _texts("vqa_accuracy", vqa_accuracy),
    "vizwiz_accuracy": _texts("vizwiz_accuracy", vizwiz_accuracy),
    "ivqa_accuracy": _texts("ivqa_accuracy", ivqa_accuracy),
    "exact_match": _texts("exact_match", exact_match),
    WUPS: _wups,
    "accuracy": _rankings("accuracy", top1),
    "mean_top1_top5": _rankings("mean_top1_top5", mean_top1_top5),
    "roc_auc": _roc_auc,
    "ndcg": _ndcg,
    "mwap": _mwap,
}
"""The measures by the names that results have."""

_NEEDING_LABELS = ("accuracy", "mean_top1_top5", "roc_auc")


def check_resources(metric: str, resources: Resources) -> None:
    """Checks that a measure will find what it needs, before hours of answering.

    Raises:
      UserError: it will not.
    """
    if metric != WUPS:
        return
    if not resources.wordnet:
        raise UserError(
            "config.wordnet is empty, but NExT-QA's measure needs the folder of WordNet 3.0 (on"
            " Debian and Ubuntu: apt-get install wordnet-base, then"
            " --config.wordnet=/usr/share/wordnet)"
        )
    WordNet(resources.wordnet)


def is_answerable(metric: str, prediction: Prediction) -> bool:
    """Whether it is known what would have been right."""
    if metric == "mwap":
        return "annotation" in prediction.details
    if metric == "ndcg":
        return "relevance" in prediction.details
    if metric in _NEEDING_LABELS:
        return prediction.label >= 0
    return bool(prediction.references)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scored:
    """What comes of a file of predictions.

    Attributes:
      result: the number; None if there is none.
      note: why there is none, in a line.
    """

    result: Result | None
    note: str = ""


def score_file(path: Path, origin: Origin, limit: int, resources: Resources) -> Scored:
    """Scores the predictions of a file.

    Where what is right is known to a server alone, writes what is sent in to it.

    Args:
      path: the file of predictions.
      origin: what they are of.
      limit: takes the first queries only, as many as were asked; 0: all of the benchmark.
      resources: of the measures.

    Raises:
      UserError: the file is damaged, or what the measure needs is not there.
    """
    num_asked = min(limit or origin.num_queries, origin.num_queries)
    given = sorted(
        (prediction for prediction in files.read_predictions(path) if prediction.index < num_asked),
        key=lambda prediction: prediction.index,
    )
    if len(given) < num_asked:
        return Scored(result=None, note=f"{len(given)} of {num_asked} queries are answered")
    metric = origin.protocol["metric"]
    if not all(is_answerable(metric, prediction) for prediction in given):
        note = f"what is right in {origin.split!r} is not given out"
        if submission := write_submission(origin.task, given, path):
            note += f"; to be sent in: {submission}"
        return Scored(result=None, note=note)
    try:
        score = METRICS[metric](given, resources)
    except ValueError as error:
        # Such as memes of one label only, or no positive clip: too few queries for the measure.
        return Scored(result=None, note=f"{metric} is not defined for these queries ({error})")
    return Scored(result=origin.result(score))


def rescore(config: BenchmarkEvaluationConfig, folder: Path, results_path: Path) -> list[str]:
    """Computes every number anew from the predictions of a run.

    Args:
      config: which tasks, shots, seeds, selections and controls; how many queries.
      folder: of the predictions; beside that of `grounding_files`.
      results_path: `results.jsonl`; a number of the same kind is replaced.

    Returns:
      A line about each file.

    Raises:
      UserError: there are no predictions of these tasks, or a file is damaged.
    """
    resources = Resources(wordnet=config.wordnet, stop_words=config.stop_words)
    lines = []
    for header in files.headers(folder):
        origin = files.read_origin(header)
        if not _is_meant(config, origin):
            continue
        limit = config.num_queries if origin.images == REAL else control_limit(config)
        scored = score_file(files.lines_of(header), origin, limit, resources)
        if scored.result is not None:
            results.append(results_path, scored.result)
        lines.append(f"{header.stem}: {told(scored)}")
    for header in files.headers(folder.with_name(grounding_files.GROUNDING)):
        origin = files.read_origin(header)
        if config.controls and _is_meant(config, origin):
            limit = control_limit(config)
            said = grounding_files.score_file(files.lines_of(header), origin, limit, results_path)
            lines.append(f"{header.stem}: {said}")
    if not lines:
        raise UserError(
            f"there are no predictions of {', '.join(config.tasks)} in {str(folder)!r}: evaluate"
            " without --config.rescore first"
        )
    return lines


def control_limit(config: BenchmarkEvaluationConfig) -> int:
    """How many queries of a benchmark the controls ask; 0: all."""
    limits = [limit for limit in (config.num_queries, config.num_control_queries) if limit]
    return min(limits, default=0)


def told(scored: Scored) -> str:
    """A number with its error, or why there is none."""
    result = scored.result
    if result is None:
        return scored.note
    return f"{result.metric} {result.value:.2f} ± {result.stderr:.2f} (n = {result.n})"


def _is_meant(config: BenchmarkEvaluationConfig, origin: Origin) -> bool:
    return (
        # Not those of the contrastive model's tasks, which lie in the same folder.
        origin.task in TASKS
        and origin.task in config.tasks
        and origin.images in config.shown
        and config.first_seed <= origin.seed < config.first_seed + config.seeds
    )
