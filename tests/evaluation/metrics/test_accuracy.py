"""Top-1 accuracy from candidate scores."""

from __future__ import annotations

import numpy as np
import pytest

from flamingo_jax.evaluation.metrics.accuracy import top1


def test_right_candidate_must_be_first() -> None:
    scores = np.array([[-1.0, -2.0, -3.0], [-1.0, -2.0, -3.0], [-9.0, -np.inf, -0.5]])
    assert top1(scores, [0, 1, 2]).tolist() == [100.0, 0.0, 100.0]


def test_rows_may_differ_in_length() -> None:
    assert top1([[0.0, 1.0], [3.0, 2.0, 1.0], [5.0]], [1, 2, 0]).tolist() == [100.0, 0.0, 100.0]


def test_ties_are_misses() -> None:
    assert top1(np.zeros((2, 4)), [0, 3]).tolist() == [0.0, 0.0]
    assert top1([[-np.inf, -np.inf]], [0]).tolist() == [0.0]


@pytest.mark.parametrize(
    ("scores", "labels"),
    [([[0.0, np.nan]], [0]), ([[0.0]], [1]), ([[0.0]], [-1]), ([[[0.0]]], [0]), ([], [])],
)
def test_misuse_is_refused(scores: list, labels: list[int]) -> None:
    with pytest.raises(ValueError):
        top1(scores, labels)
