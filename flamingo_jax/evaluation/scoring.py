"""From answers to numbers: every metric by its name, with its standard error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from flamingo_jax.evaluation.metrics.accuracy import top1
from flamingo_jax.evaluation.metrics.cider import cider
from flamingo_jax.evaluation.metrics.exact_match import exact_match
from flamingo_jax.evaluation.metrics.standard_error import standard_error
from flamingo_jax.evaluation.metrics.vqa_accuracy import vqa_accuracy

NUM_VQA_ANSWERS = 10
"""The VQA metric counts the answers of ten people; where one is right, all ten gave it."""


class Score(NamedTuple):
    """A number in points, with its standard error, over n queries."""

    metric: str
    value: float
    stderr: float
    n: int


def score_texts(
    metric: str, predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> Score:
    """Scores generated texts.

    Args:
      metric: "exact_match", "vqa_accuracy" or "cider".
      predictions: one text a query.
      references: the right texts of each, one or more.

    Raises:
      KeyError: no such metric.
    """
    scorers = {
        "exact_match": lambda: exact_match(predictions, references),
        "vqa_accuracy": lambda: vqa_accuracy(
            predictions,
            [texts if len(texts) > 1 else [*texts] * NUM_VQA_ANSWERS for texts in references],
        ),
        "cider": lambda: cider(predictions, references),
    }
    return summarise(metric, scorers[metric]())


def score_rankings(
    scores_QC: np.ndarray, candidates: Sequence[str], answers: Sequence[str]
) -> Score:
    """Top-1 accuracy of ranked candidates.

    Args:
      scores_QC: log-likelihood of each candidate.
      candidates: what stands in the columns.
      answers: the right candidate of each query.
    """
    return summarise("accuracy", top1(scores_QC, [candidates.index(text) for text in answers]))


def summarise(metric: str, items_Q: np.ndarray) -> Score:
    """Mean and standard error of per-query scores; CIDEr's by bootstrap, being skewed."""
    return Score(
        metric=metric,
        value=float(np.mean(items_Q)),
        stderr=standard_error(items_Q, method="bootstrap" if metric == "cider" else "analytic"),
        n=len(items_Q),
    )
