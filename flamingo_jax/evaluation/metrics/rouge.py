"""ROUGE-L as coco-caption computes it: longest common subsequence, recall weighted by 1.2."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flamingo_jax.evaluation.metrics.items import POINTS, check_items
from flamingo_jax.evaluation.metrics.ngrams import tokenize_items

BETA = 1.2


def rouge_l(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """ROUGE-L of each prediction; its best precision and best recall may be of two references.

    Args:
      predictions: generated captions, one per item; tokenised here.
      references: right captions, one non-empty sequence per item; tokenised here.

    Returns:
      float64 [N] in points; the mean over the items is the corpus's score.

    Raises:
      TypeError: the references of an item are a bare string.
      ValueError: no items, different lengths, or an item without a reference.
    """
    check_items(predictions, references)
    candidates, tokenized = tokenize_items(predictions, references)
    scores = [
        # Divided at single spaces, as coco-caption does: an empty caption is one empty word.
        _score(text.split(" "), [reference.split(" ") for reference in texts])
        for text, texts in zip(candidates, tokenized, strict=True)
    ]
    return POINTS * np.asarray(scores, dtype=np.float64)


def _score(words: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    common = [_common_subsequence(words, reference) for reference in references]
    precision = max(common) / len(words)
    recall = max(
        length / len(reference) for length, reference in zip(common, references, strict=True)
    )
    if not precision or not recall:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def _common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(second) + 1)
    for word in first:
        diagonal = 0
        for column, other in enumerate(second, start=1):
            above = row[column]
            row[column] = diagonal + 1 if word == other else max(above, row[column - 1])
            diagonal = above
    return row[-1]
