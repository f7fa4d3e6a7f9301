"""Area under the ROC curve, the measure of HatefulMemes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flamingo_jax.evaluation.metrics.items import POINTS


class RocAuc:
    """The area of fixed scores and labels, and of what is drawn from them.

    It is the probability that a positive item scores higher than a negative one, where a tie counts
    half; scikit-learn's `roc_auc_score` is the same.
    """

    def __init__(self, scores: npt.ArrayLike, labels: npt.ArrayLike) -> None:
        """Sorts the items.

        Args:
          scores: [N] how positive the model takes each item to be, in any unit.
          labels: [N] 1 for positive items, 0 for negative ones.

        Raises:
          ValueError: different lengths, a NaN score, a label other than 0 and 1, or only one kind
            of items.
        """
        scores_N = np.asarray(scores, dtype=np.float64)
        labels_N = np.asarray(labels)
        if scores_N.ndim != 1 or scores_N.shape != labels_N.shape:
            raise ValueError(f"scores of shape {scores_N.shape}, labels of shape {labels_N.shape}")
        if np.isnan(scores_N).any():
            raise ValueError("a score is NaN")
        if not np.isin(labels_N, [0, 1]).all() or len(np.unique(labels_N)) != 2:
            raise ValueError("labels must be 0 and 1, and both must occur")
        self._order_N = np.argsort(scores_N, kind="stable")
        ordered_N = scores_N[self._order_N]
        # Where each group of equal scores begins.
        self._groups = np.flatnonzero(np.r_[True, ordered_N[1:] != ordered_N[:-1]])
        self._is_positive_N = labels_N[self._order_N] == 1

    def value(self) -> float:
        """The area in points: 50 for chance, 100 for a perfect order."""
        return float(self.of_draws(np.ones((1, len(self._order_N))))[0])

    def of_draws(self, draws_RN: np.ndarray) -> np.ndarray:
        """The area of each resample.

        Args:
          draws_RN: how often each item is drawn.

        Returns:
          float64 [R] in points; NaN where only one kind of items was drawn.
        """
        draws_RN = draws_RN[:, self._order_N]
        positive_RG = np.add.reduceat(draws_RN * self._is_positive_N, self._groups, axis=1)
        negative_RG = np.add.reduceat(draws_RN * ~self._is_positive_N, self._groups, axis=1)
        below_RG = np.cumsum(negative_RG, axis=1) - negative_RG
        won_R = (positive_RG * (below_RG + negative_RG / 2)).sum(axis=1)
        pairs_R = positive_RG.sum(axis=1) * negative_RG.sum(axis=1)
        return POINTS * np.divide(
            won_R, pairs_R, out=np.full_like(won_R, np.nan), where=pairs_R > 0
        )
