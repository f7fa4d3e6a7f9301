"""WUPS of NExT-OE: open answers compared by how near their words are in WordNet.

Follows the behaviour of `metrics.py` and `eval_oe.py` of doc-doc/NExT-OE.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np

from flamingo_jax.evaluation.metrics.items import POINTS, check_items

DAMPING = 0.1
"""What is left of a similarity below the threshold alpha."""


class Lexicon(Protocol):
    """Knows words: base forms, and how similar two of them are. `wordnet.WordNet` is one."""

    def base_forms(self, sentence: str) -> list[str]:
        """The base forms of a sentence's words, in their order."""
        ...

    def similarity(self, first: str, second: str) -> float:
        """Wu-Palmer similarity of the first senses of two words, 0 to 1; 0 for unknown words."""
        ...


def wups(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    lexicon: Lexicon,
    *,
    needs_same_words: Sequence[bool] | None = None,
    stop_words: Collection[str] = (),
    alpha: float = 0.0,
) -> np.ndarray:
    """Scores each prediction against its references; the best one counts.

    Args:
      predictions: generated answers, one per item.
      references: right answers, one or more per item.
      lexicon: knows the words.
      needs_same_words: which items score 100 or 0, by whether the words are the same (NExT-OE's
        questions for counts and for yes or no). Default: none.
      stop_words: base forms that are left out of all answers.
      alpha: similarities below it count a tenth; 0 in the usual WUPS@0, 0.9 in WUPS@0.9.

    Returns:
      float64 [N] in points, 0 to 100.

    Raises:
      TypeError: the references of an item are a bare string.
      ValueError: no items, different lengths, or an item without a reference.
    """
    check_items(predictions, references)
    if needs_same_words is None:
        needs_same_words = [False] * len(predictions)
    stop_words = frozenset(stop_words)

    def words(sentence: str) -> list[str]:
        return [word for word in lexicon.base_forms(sentence) if word not in stop_words]

    scores = []
    for prediction, texts, same in zip(predictions, references, needs_same_words, strict=True):
        own = words(prediction)
        others = [words(text) for text in texts]
        if same:
            scores.append(float(own in others))
        else:
            scores.append(max(_wups(own, other, lexicon, alpha) for other in others))
    return POINTS * np.asarray(scores)


def _wups(first: Sequence[str], second: Sequence[str], lexicon: Lexicon, alpha: float) -> float:
    return min(_covered(first, second, lexicon, alpha), _covered(second, first, lexicon, alpha))


def _covered(words: Sequence[str], others: Sequence[str], lexicon: Lexicon, alpha: float) -> float:
    """Product over the words of the similarity to the nearest other word; zeros are passed over."""
    nearest = [
        max((_similarity(word, other, lexicon, alpha) for other in others), default=0.0)
        for word in words
    ]
    found = [similarity for similarity in nearest if similarity > 0]
    return float(np.prod(found)) if found else 0.0


def _similarity(first: str, second: str, lexicon: Lexicon, alpha: float) -> float:
    if first == second:
        return 1.0
    similarity = lexicon.similarity(first, second)
    return similarity if similarity >= alpha else DAMPING * similarity
