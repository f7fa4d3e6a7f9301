"""Accuracy of iVQA: right in full if two of the five people gave the answer, half if one did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flamingo_jax.evaluation.metrics.exact_match import normalise
from flamingo_jax.evaluation.metrics.items import POINTS, check_items

MATCHES_FOR_FULL_SCORE = 2


def ivqa_accuracy(predictions: Sequence[str], answers: Sequence[Sequence[str]]) -> np.ndarray:
    """Scores each prediction by min(1, people who gave it / 2).

    The official code (antoyang/just-ask) chooses among answers as they are written in the data;
    here texts are compared after the light normalisation of exact match, which leaves the data's
    lowercase answers as they are.

    Args:
      predictions: generated answers, one per item.
      answers: the answers of people, five per item in iVQA.

    Returns:
      float64 [N] in points: 100, 50 or 0.

    Raises:
      TypeError: the answers of an item are a bare string.
      ValueError: no items, different lengths, or an item without an answer.
    """
    check_items(predictions, answers)
    scores = []
    for prediction, texts in zip(predictions, answers, strict=True):
        normalised = normalise(prediction)
        matches = sum(normalise(text) == normalised for text in texts)
        scores.append(min(1.0, matches / MATCHES_FOR_FULL_SCORE))
    return POINTS * np.asarray(scores)
