"""What the text metrics have in common: predictions and references, item by item."""

from __future__ import annotations

from collections.abc import Sequence

POINTS = 100.0
"""Scores are in points: a full match scores 100, so that the mean over items is a percentage."""


def check_items(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Checks that predictions and references belong together.

    Args:
      predictions: one text per item.
      references: one non-empty sequence of texts per item.

    Raises:
      TypeError: an item's references are a bare string, which would be taken letter by letter.
      ValueError: no items, the lengths differ, or an item has no reference.
    """
    if len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions, but references of {len(references)}")
    if not predictions:
        raise ValueError("no items to score")
    for index, texts in enumerate(references):
        if isinstance(texts, str):
            raise TypeError(f"references of item {index} are the string {texts!r}; give a list")
        if not texts:
            raise ValueError(f"item {index} has no reference")
