"""Do captions of one group of pictures score higher than those of another? (Paper, table 12.)

Groups are compared two by two with Welch's t-test: two-tailed, variances need not be equal.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Group(NamedTuple):
    """One group's scores: how many, their mean, and the standard error of that mean."""

    name: str
    n: int
    mean: float
    stderr: float


class Difference(NamedTuple):
    """How far the means of two groups are apart.

    Attributes:
      first: name of a group.
      second: name of another one.
      difference: mean of `first` minus mean of `second`.
      t: the difference over its standard error.
      degrees_of_freedom: of t, by Welch and Satterthwaite.
      p: how likely a difference at least as large, of either sign, is if the groups' expected
        scores are equal.
    """

    first: str
    second: str
    difference: float
    t: float
    degrees_of_freedom: float
    p: float


class GroupDifferences(NamedTuple):
    """All groups, sorted by name, and the differences of all pairs of them in that order."""

    groups: tuple[Group, ...]
    differences: tuple[Difference, ...]


def group_differences(scores: npt.ArrayLike, groups: Sequence[str]) -> GroupDifferences:
    """Compares the groups of items.

    Args:
      scores: [N] one score per item, in any unit.
      groups: the group of each item, at least two different ones.

    Raises:
      ValueError: different lengths, scores that are not a finite vector, fewer than two groups, a
        group of fewer than two items, or two groups whose scores do not vary at all.
    """
    scores_N = np.asarray(scores, dtype=np.float64)
    if scores_N.ndim != 1 or len(scores_N) != len(groups) or not np.isfinite(scores_N).all():
        raise ValueError(f"{len(groups)} groups for scores of shape {scores_N.shape}, all finite")
    by_name: dict[str, list[float]] = {}
    for group, score in zip(groups, scores_N.tolist(), strict=True):
        by_name.setdefault(group, []).append(score)
    names = sorted(by_name)
    if len(names) < 2:
        raise ValueError(f"there are scores of the groups {names} alone; two must have some")
    found = tuple(_group(name, by_name[name]) for name in names)
    return GroupDifferences(
        groups=found,
        differences=tuple(welch_t_test(a, b) for a, b in itertools.combinations(found, 2)),
    )


def welch_t_test(first: Group, second: Group) -> Difference:
    """Welch's t-test of two groups; equal to `scipy.stats.ttest_ind(equal_var=False)`.

    Raises:
      ValueError: neither group's scores vary, so that t is not defined.
    """
    # Loaded here: other measures do without it.
    from scipy import special

    variance = first.stderr**2 + second.stderr**2
    if not variance:
        raise ValueError(
            f"all scores of {first.name!r} are equal, and those of {second.name!r} too: there is"
            " no spread to compare their difference with"
        )
    difference = first.mean - second.mean
    t = difference / math.sqrt(variance)
    degrees = variance**2 / sum(group.stderr**4 / (group.n - 1) for group in (first, second))
    return Difference(
        first=first.name,
        second=second.name,
        difference=difference,
        t=t,
        degrees_of_freedom=degrees,
        # The two tails of Student's distribution beyond |t|, by the incomplete beta function.
        p=float(special.betainc(degrees / 2, 0.5, degrees / (degrees + t**2))),
    )


def _group(name: str, scores: Sequence[float]) -> Group:
    if len(scores) < 2:
        raise ValueError(f"the group {name!r} has one score; its spread needs two")
    stderr = float(np.std(scores, ddof=1)) / math.sqrt(len(scores))
    return Group(name=name, n=len(scores), mean=float(np.mean(scores)), stderr=stderr)
