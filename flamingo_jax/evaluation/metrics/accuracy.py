"""Accuracy of closed tasks: candidates ranked by log-likelihood (paper, appendix A.2)."""

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
    return top_k(scores, labels, k=1)


def top_k(
    scores: Sequence[npt.ArrayLike] | np.ndarray, labels: Sequence[int], k: int
) -> np.ndarray:
    """Scores each item by whether its right candidate is among the first k.

    Wrong candidates win ties, as in `top1`.

    Args:
      scores: one row of candidate scores per item, see `top1`.
      labels: index of the right candidate in its row, one per item.
      k: how many candidates count as found, >= 1.

    Returns:
      float64 [N]: 100 where fewer than k other candidates score at least as high, else 0.

    Raises:
      ValueError: k < 1, or as in `top1`.
    """
    if k < 1:
        raise ValueError(f"k = {k}; it must be at least 1")
    if len(scores) != len(labels):
        raise ValueError(f"{len(scores)} rows of scores, but {len(labels)} labels")
    if len(scores) == 0:
        raise ValueError("no items to score")
    items = zip(scores, labels, strict=True)
    hits = [_num_ahead(index, row, label) < k for index, (row, label) in enumerate(items)]
    return POINTS * np.asarray(hits, dtype=np.float64)


def mean_top1_top5(
    scores: Sequence[npt.ArrayLike] | np.ndarray, labels: Sequence[int]
) -> np.ndarray:
    """Mean of top-1 and top-5, the measure of Kinetics: 100, 50 or 0 per item.

    Args:
      scores: one row of candidate scores per item, see `top1`.
      labels: index of the right candidate in its row, one per item.

    Raises:
      ValueError: as in `top1`.
    """
    return (top_k(scores, labels, k=1) + top_k(scores, labels, k=5)) / 2


def _num_ahead(index: int, row: npt.ArrayLike, label: int) -> int:
    """How many wrong candidates stand before the right one."""
    scores = np.asarray(row, dtype=np.float64)
    if scores.ndim != 1 or not 0 <= label < scores.size:
        raise ValueError(f"item {index}: label {label} in scores of shape {scores.shape}")
    if np.isnan(scores).any():
        raise ValueError(f"item {index}: a candidate's score is NaN")
    return int((scores >= scores[label]).sum()) - 1
