"""BLEU as coco-caption computes it, with the closest reference length.

Follows the behaviour of `pycocoevalcap/bleu/bleu_scorer.py`: counts are added over the corpus
before they are divided, so the score is no mean over items.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy as np

from flamingo_jax.evaluation.metrics.items import POINTS, check_items
from flamingo_jax.evaluation.metrics.ngrams import MAX_NGRAM, count_ngrams, tokenize_items

# coco-caption's guards against division by zero; they show in the score of an empty prediction.
_SMALL, _TINY = 1e-9, 1e-15


@dataclasses.dataclass(frozen=True, kw_only=True)
class BleuCounts:
    """What BLEU is computed from, item by item.

    Attributes:
      correct: float64 [N, 4], n-grams of the prediction that a reference has, n = 1 to 4.
      guessed: float64 [N, 4], n-grams of the prediction.
      length: float64 [N], words of the prediction.
      reference_length: float64 [N], words of the reference that is closest in length.
    """

    correct: np.ndarray
    guessed: np.ndarray
    length: np.ndarray
    reference_length: np.ndarray

    def per_item(self) -> np.ndarray:
        """BLEU-1 to BLEU-4 of each item in points, float64 [N, 4]."""
        return _score(self.correct, self.guessed, self.length, self.reference_length)

    def corpus(self, draws_RN: np.ndarray | None = None) -> np.ndarray:
        """BLEU-1 to BLEU-4 of the corpus, or of corpora drawn from it.

        Args:
          draws_RN: how often each item is drawn, [R, N]; default: once each.

        Returns:
          float64 [R, 4] in points; R is 1 by default.
        """
        if draws_RN is None:
            draws_RN = np.ones((1, len(self.length)))
        return _score(
            draws_RN @ self.correct,
            draws_RN @ self.guessed,
            draws_RN @ self.length,
            draws_RN @ self.reference_length,
        )


def bleu_counts(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> BleuCounts:
    """Counts what BLEU needs.

    Args:
      predictions: generated captions, one per item; tokenised here.
      references: right captions, one non-empty sequence per item; tokenised here.

    Raises:
      TypeError: the references of an item are a bare string.
      ValueError: no items, different lengths, or an item without a reference.
    """
    check_items(predictions, references)
    candidates, tokenized = tokenize_items(predictions, references)
    rows = [
        _count(text.split(), [reference.split() for reference in texts])
        for text, texts in zip(candidates, tokenized, strict=True)
    ]
    table = np.asarray(rows, dtype=np.float64)
    return BleuCounts(
        correct=table[:, :MAX_NGRAM],
        guessed=table[:, MAX_NGRAM:-2],
        length=table[:, -2],
        reference_length=table[:, -1],
    )


def _count(words: Sequence[str], references: Sequence[Sequence[str]]) -> list[int]:
    """Correct and guessed n-grams for each n, the length, and the closest reference's length."""
    most: Counter[tuple[str, ...]] = Counter()
    for reference in references:
        most |= count_ngrams(reference)
    correct = [0] * MAX_NGRAM
    for ngram, count in count_ngrams(words).items():
        correct[len(ngram) - 1] += min(count, most[ngram])
    guessed = [max(0, len(words) - n) for n in range(MAX_NGRAM)]
    # Of two lengths that are equally close, the shorter.
    closest = min((abs(len(text) - len(words)), len(text)) for text in references)[1]
    return [*correct, *guessed, len(words), closest]


def _score(
    correct_X4: np.ndarray, guessed_X4: np.ndarray, length_X: np.ndarray, reference_X: np.ndarray
) -> np.ndarray:
    precisions = (correct_X4 + _TINY) / (guessed_X4 + _SMALL)
    means = np.cumprod(precisions, axis=1) ** (1 / np.arange(1, MAX_NGRAM + 1))
    ratio = (length_X + _TINY) / (reference_X + _SMALL)
    # exp(1 - 1/ratio) of an empty prediction is 0 by underflow, as in coco-caption.
    penalty = np.exp(np.minimum(0.0, 1 - 1 / ratio))
    return POINTS * means * penalty[:, None]
