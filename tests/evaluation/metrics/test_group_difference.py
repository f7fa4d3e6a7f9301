"""Welch's t-test between groups, against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from flamingo_jax.evaluation.metrics.group_difference import group_differences


@pytest.mark.parametrize(
    ("sizes", "shift", "spread"),
    [((40, 25), 3.0, 10.0), ((2, 3), -20.0, 1.0), ((300, 7), 90.0, 4.0)],
)
def test_equals_scipy(sizes: tuple[int, int], shift: float, spread: float) -> None:
    random = np.random.default_rng(0)
    female = random.normal(90.0 + shift, spread, sizes[0])
    male = random.normal(90.0, 2 * spread, sizes[1])
    groups = np.array(["female"] * sizes[0] + ["male"] * sizes[1])
    order = random.permutation(len(groups))
    found = group_differences(np.concatenate([female, male])[order], groups[order].tolist())
    expected = stats.ttest_ind(female, male, equal_var=False)
    (difference,) = found.differences
    assert (difference.first, difference.second) == ("female", "male")
    assert difference.difference == pytest.approx(female.mean() - male.mean())
    assert difference.t == pytest.approx(expected.statistic)
    assert difference.degrees_of_freedom == pytest.approx(expected.df)
    assert difference.p == pytest.approx(expected.pvalue, rel=1e-9, abs=0)
    assert [(group.name, group.n) for group in found.groups] == [
        ("female", sizes[0]), ("male", sizes[1])
    ]  # fmt: skip
    assert found.groups[1].mean == pytest.approx(male.mean())
    assert found.groups[1].stderr == pytest.approx(stats.sem(male))


def test_by_hand() -> None:
    # Means 2 and 5, variances of the means 1/3 and 1/3: t = -3 / sqrt(2/3), 4 degrees.
    found = group_differences([1, 2, 3, 4, 5, 6], ["a", "a", "a", "b", "b", "b"]).differences[0]
    assert found.t == pytest.approx(-3 / np.sqrt(2 / 3))
    assert found.degrees_of_freedom == pytest.approx(4.0)
    assert 0.02 < found.p < 0.03


def test_all_pairs_of_groups() -> None:
    scores = np.arange(9.0) ** 2
    found = group_differences(scores, ["c", "b", "a"] * 3)
    assert [(d.first, d.second) for d in found.differences] == [
        ("a", "b"), ("a", "c"), ("b", "c")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("scores", "groups", "said"),
    [
        ([1.0, 2.0, 3.0], ["a", "a", "a"], "two must have some"),
        ([1.0, 2.0, 3.0], ["a", "a", "b"], "'b' has one score"),
        ([1.0, 1.0, 2.0, 2.0], ["a", "a", "b", "b"], "no spread"),
        ([1.0, np.nan, 2.0, 2.0], ["a", "a", "b", "b"], "all finite"),
        ([1.0, 2.0], ["a"], "1 groups"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    scores: list[float], groups: list[str], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        group_differences(scores, groups)
