"""Normalised discounted cumulative gain, the measure of VisDial.

Follows the behaviour of `visdialch/metrics.py` of visdial-challenge-starter-pytorch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from flamingo_jax.evaluation.metrics.items import POINTS


def ndcg(
    scores: Sequence[npt.ArrayLike] | np.ndarray, relevance: Sequence[npt.ArrayLike] | np.ndarray
) -> np.ndarray:
    """Scores the order of each item's candidates.

    With k candidates of non-zero relevance, the first k of the model's order gain
    relevance / log2(rank + 1); the sum is divided by that of the best order.

    Args:
      scores: one row of candidate scores per item, higher is better. Of candidates with equal
        scores, the less relevant one is taken to be first. For ranks, give their negatives.
      relevance: one row per item, how relevant people found each candidate, >= 0.

    Returns:
      float64 [N] in points, 0 to 100.

    Raises:
      ValueError: no items, different lengths, a NaN, a negative relevance, or an item without a
        relevant candidate.
    """
    if len(scores) != len(relevance):
        raise ValueError(f"{len(scores)} rows of scores, but relevance of {len(relevance)}")
    if len(scores) == 0:
        raise ValueError("no items to score")
    rows = enumerate(zip(scores, relevance, strict=True))
    return POINTS * np.asarray([_score(index, *row) for index, row in rows])


def _score(index: int, scores: npt.ArrayLike, relevance: npt.ArrayLike) -> float:
    scores_C = np.asarray(scores, dtype=np.float64)
    relevance_C = np.asarray(relevance, dtype=np.float64)
    if scores_C.ndim != 1 or scores_C.shape != relevance_C.shape:
        raise ValueError(f"item {index}: {scores_C.shape} scores, {relevance_C.shape} relevances")
    if np.isnan(scores_C).any() or not (relevance_C >= 0).all():
        raise ValueError(f"item {index}: a NaN, or a relevance that is not 0 or more")
    num_relevant = int((relevance_C != 0).sum())
    if not num_relevant:
        raise ValueError(f"item {index} has no relevant candidate")
    order_C = np.lexsort((relevance_C, -scores_C))
    discount_K = np.log2(np.arange(num_relevant) + 2)
    gained = (relevance_C[order_C][:num_relevant] / discount_K).sum()
    best = (np.sort(relevance_C)[::-1][:num_relevant] / discount_K).sum()
    return float(gained / best)
