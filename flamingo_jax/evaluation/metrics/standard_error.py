"""Standard error of a mean over items: one function for every metric."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from flamingo_jax.evaluation.metrics.bootstrap import bootstrap, mean_of


def standard_error(
    scores: npt.ArrayLike,
    *,
    method: Literal["analytic", "bootstrap"] = "analytic",
    seed: int = 0,
    resamples: int = 1000,
) -> float:
    """Standard error of the mean of per-item scores.

    `analytic` is the sample standard deviation over the root of n: right for means of independent
    items, such as exact match. `bootstrap` resamples items with replacement and takes the standard
    deviation of the resampled means: used for CIDEr, whose per-item scores are skewed. The
    document frequencies of CIDEr stay those of the whole corpus in every resample.

    Args:
      scores: [N] one score per item, N >= 2, in any unit.
      method: `analytic` or `bootstrap`.
      seed: seed of the bootstrap; the same seed gives the same number.
      resamples: number of bootstrap resamples, >= 2.

    Returns:
      The standard error, in the unit of the scores.

    Raises:
      ValueError: fewer than two items or resamples, scores that are not a finite vector, or an
        unknown method.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1 or scores.size < 2 or not np.isfinite(scores).all():
        raise ValueError(f"needs a finite vector of at least two scores, not shape {scores.shape}")
    if method == "analytic":
        return float(scores.std(ddof=1) / np.sqrt(scores.size))
    if method != "bootstrap":
        raise ValueError(f"unknown method {method!r}; use 'analytic' or 'bootstrap'")
    return bootstrap(mean_of(scores), scores.size, seed=seed, resamples=resamples).stderr
