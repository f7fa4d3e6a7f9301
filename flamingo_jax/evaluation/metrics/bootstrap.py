"""Confidence intervals by the bootstrap: items are drawn again, the measure is computed again.

A measure is given as a function of how often each item is drawn. For a mean over items that is one
matrix product, and measures that are no means (BLEU, the area under a curve) fit in as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

RESAMPLES = 1000
CONFIDENCE = 0.95
_BLOCK = 1 << 21  # counts held at a time: 16 MB

Measure = Callable[[np.ndarray], np.ndarray]
"""From draws [R, N], how often item n is drawn in resample r, to the R values of the measure."""


class Interval(NamedTuple):
    """What the bootstrap says of a value, in its unit.

    Attributes:
      stderr: standard error: standard deviation over the resamples.
      low: lower end of the confidence interval: a percentile of the resamples.
      high: upper end.
    """

    stderr: float
    low: float
    high: float


def mean_of(scores: npt.ArrayLike) -> Measure:
    """The mean of per-item scores as a measure.

    The document frequencies of CIDEr stay those of the whole corpus in every resample: its
    per-item scores are drawn, not the captions.

    Args:
      scores: [N] one score per item.
    """
    scores_N = np.asarray(scores, dtype=np.float64)
    return lambda draws_RN: draws_RN @ scores_N / scores_N.size


def bootstrap(
    measure: Measure,
    num_items: int,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Standard error and confidence interval of a measure.

    Args:
      measure: what is measured. A resample in which it is undefined (NaN) is left out.
      num_items: N, how many items there are to draw from, >= 2.
      seed: the same seed gives the same numbers.
      resamples: how often N items are drawn, >= 2.
      confidence: share of the resamples that the interval holds, between 0 and 1.

    Raises:
      ValueError: an argument is out of range, or the measure is defined in fewer than two
        resamples.
    """
    if num_items < 2 or resamples < 2 or not 0 < confidence < 1:
        raise ValueError(
            f"{num_items} items, {resamples} resamples, confidence {confidence}: needs at least 2"
            " items and 2 resamples, and a confidence between 0 and 1"
        )
    values = np.concatenate([measure(draws) for draws in _draws(num_items, seed, resamples)])
    values = values[~np.isnan(values)]
    if values.size < 2:
        raise ValueError("the measure is defined in fewer than two resamples")
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(values.std(ddof=1)), float(low), float(high))


def _draws(num_items: int, seed: int, resamples: int) -> Iterator[np.ndarray]:
    """Blocks [R, N] of how often each of N items is drawn when N are drawn with replacement."""
    random = np.random.default_rng(seed)
    rows = max(1, _BLOCK // num_items)
    for start in range(0, resamples, rows):
        yield np.stack(
            [
                np.bincount(random.integers(num_items, size=num_items), minlength=num_items)
                for _ in range(min(rows, resamples - start))
            ]
        ).astype(np.float64)
