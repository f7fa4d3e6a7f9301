"""CIDEr-D as coco-caption computes it, without Java (Vedantam et al., arXiv 1411.5726, section 5).

Follows the behaviour of `pycocoevalcap/cider/cider_scorer.py` (tylin/coco-caption): n-grams of one
to four words, sigma 6, document frequencies from the references of the scored corpus.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from flamingo_jax.evaluation.metrics.items import POINTS, check_items
from flamingo_jax.evaluation.metrics.ngrams import (
    MAX_NGRAM,
    Ngram,
    count_ngrams,
    tokenize_items,
)

SIGMA = 6.0
"""Width of the Gaussian penalty on a difference in length."""

SCALE = 10.0
"""coco-caption's factor on the mean cosine: a perfect item scores 10 there and 1000 points here."""


class _Vector(NamedTuple):
    """A text's tf-idf weights by n-gram length (index 0 = single words), their norms, its length.

    `length` is the number of word pairs, not of words: coco-caption's way of counting.
    """

    weights: list[dict[Ngram, float]]
    norms: list[float]
    length: int


def cider(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """CIDEr-D of each prediction, over the corpus that the references form.

    A property of the metric to know: an n-gram that the references of every item share weighs
    nothing, so a corpus of one item, or of items that all say the same, scores 0; and a caption of
    fewer than four words cannot reach the full score, since it has no 4-gram.

    The order of the items matters for a few words of the tokenizer alone (see
    `penn_treebank.tokenize_captions`).

    Args:
      predictions: generated captions, one per item; tokenised here.
      references: right captions, one non-empty sequence per item; tokenised here.

    Returns:
      float64 [N] in points: 100 times coco-caption's per-item score, 0 to 1000. The mean over the
      items is the number that papers report (for example 138.1 on COCO).

    Raises:
      TypeError: the references of an item are a bare string.
      ValueError: no items, different lengths, or an item without a reference.
    """
    check_items(predictions, references)
    candidates, tokenized = tokenize_items(predictions, references)
    references_counts = [[count_ngrams(text.split()) for text in texts] for texts in tokenized]
    # An n-gram counts once per item, however many of the item's references have it.
    document_frequency = Counter(
        ngram for counts in references_counts for ngram in set().union(*counts)
    )
    log_items = math.log(len(references))
    scores = []
    for text, counts in zip(candidates, references_counts, strict=True):
        candidate = _weigh(count_ngrams(text.split()), document_frequency, log_items)
        similarities = [
            _similarity(candidate, _weigh(count, document_frequency, log_items)) for count in counts
        ]
        scores.append(sum(similarities) / len(similarities))
    return POINTS * SCALE * np.asarray(scores, dtype=np.float64)


def _weigh(counts: Counter[Ngram], document_frequency: Counter[Ngram], log_items: float) -> _Vector:
    """Weights term frequency (a count, not a share) times log(items / document frequency)."""
    weights: list[dict[Ngram, float]] = [{} for _ in range(MAX_NGRAM)]
    for ngram, count in counts.items():
        # An n-gram that no reference has is treated as if one item had it.
        idf = log_items - math.log(max(1, document_frequency[ngram]))
        weights[len(ngram) - 1][ngram] = count * idf
    norms = [math.sqrt(sum(weight**2 for weight in of_n.values())) for of_n in weights]
    length = sum(count for ngram, count in counts.items() if len(ngram) == 2)
    return _Vector(weights, norms, length)


def _similarity(candidate: _Vector, reference: _Vector) -> float:
    """Clipped cosine, mean over n, times the length penalty; 0 to 1."""
    total = 0.0
    for n in range(MAX_NGRAM):
        norm = candidate.norms[n] * reference.norms[n]
        if norm == 0.0:
            continue
        # In the candidate's order, not a set's: the sum comes out the same in every process.
        pairs = (
            (weight, reference.weights[n][ngram])
            for ngram, weight in candidate.weights[n].items()
            if ngram in reference.weights[n]
        )
        # Clipping: repeating a word of the reference gains nothing.
        total += sum(min(own, other) * other for own, other in pairs) / norm
    difference = candidate.length - reference.length
    return total / MAX_NGRAM * math.exp(-(difference**2) / (2 * SIGMA**2))
