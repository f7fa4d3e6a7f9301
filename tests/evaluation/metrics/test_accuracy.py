"""Top-1 accuracy from candidate scores."""

from __future__ import annotations

import numpy as np
import pytest

from flamingo_jax.evaluation.metrics.accuracy import mean_top1_top5, top1, top_k
from tests.evaluation.metrics import golden


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


def test_top_5_by_hand() -> None:
    scores = [[9.0, 8.0, 7.0, 6.0, 5.0, 4.0]] * 2
    assert top_k(scores, [4, 5], k=5).tolist() == [100.0, 0.0]
    assert mean_top1_top5([*scores, scores[0]], [0, 4, 5]).tolist() == [100.0, 50.0, 0.0]
    # Six candidates with the same score: none is among the first five.
    assert top_k([[1.0] * 6], [0], k=5).tolist() == [0.0]


def test_stored_values_of_torch_topk() -> None:
    stored = golden.load("rankings.json")["top_k"]
    for k in (1, 5):
        assert top_k(stored["scores"], stored["labels"], k=k).tolist() == stored[f"top{k}"]
    assert 0 < sum(stored["top1"]) < sum(stored["top5"]) < 2000


def test_k_below_1_is_refused() -> None:
    with pytest.raises(ValueError, match="k = 0"):
        top_k([[1.0]], [0], k=0)
