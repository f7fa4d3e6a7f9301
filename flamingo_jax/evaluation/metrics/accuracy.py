"""Top-1 accuracy of closed tasks: candidates ranked by log-likelihood (paper, appendix A.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flamingo_jax.evaluation.metrics.items import POINTS


def top1(scores: Sequence[npt.ArrayLike] | np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """Scores each item by whether its right candidate is ranked first.

    A tie for the first place is a miss: a model that gives all candidates the same score must not
    profit from their order.

    Args:
      scores: one row of candidate scores per item (higher is better; log-likelihoods or
        similarities; -inf is allowed). Rows may differ in length: items may differ in candidates.
      labels: index of the right candidate in its row, one per item.

    Returns:
      float64 [N]: 100 where the right candidate is strictly first, else 0.

    Raises:
      ValueError: no items, different lengths, a row that is not 1-d, a label outside its row, or
        a NaN score.
    """
    if len(scores) != len(labels):
        raise ValueError(f"{len(scores)} rows of scores, but {len(labels)} labels")
    if len(scores) == 0:
        raise ValueError("no items to score")
    items = zip(scores, labels, strict=True)
    hits = [_is_first(index, row, label) for index, (row, label) in enumerate(items)]
    return POINTS * np.asarray(hits, dtype=np.float64)


def _is_first(index: int, row: npt.ArrayLike, label: int) -> bool:
    scores = np.asarray(row, dtype=np.float64)
    if scores.ndim != 1 or not 0 <= label < scores.size:
        raise ValueError(f"item {index}: label {label} in scores of shape {scores.shape}")
    if np.isnan(scores).any():
        raise ValueError(f"item {index}: a candidate's score is NaN")
    return bool((np.delete(scores, label) < scores[label]).all())
