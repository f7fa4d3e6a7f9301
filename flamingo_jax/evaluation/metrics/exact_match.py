"""Exact match: the generated text is a reference, letter by letter, after a light normalisation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flamingo_jax.evaluation.metrics.items import POINTS, check_items


def normalise(text: str) -> str:
    """Brings a text into the form in which exact match compares.

    Lowercased, spaces (line breaks and tabs as well) at both ends removed and collapsed to one
    between words, and one final full stop removed with the spaces before it. Nothing else:
    articles, number words and inner punctuation count.

    Args:
      text: any text.

    Returns:
      The normalised text.
    """
    return " ".join(text.lower().split()).removesuffix(".").rstrip()


def exact_match(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Scores each prediction by whether it equals one of its references (see `normalise`).

    Args:
      predictions: generated texts, one per item.
      references: right texts, one non-empty sequence per item.

    Returns:
      float64 [N]: 100 where the item matches, else 0.

    Raises:
      TypeError: the references of an item are a bare string.
      ValueError: no items, different lengths, or an item without a reference.
    """
    check_items(predictions, references)
    matches = [
        normalise(prediction) in {normalise(text) for text in texts}
        for prediction, texts in zip(predictions, references, strict=True)
    ]
    return POINTS * np.asarray(matches, dtype=np.float64)
