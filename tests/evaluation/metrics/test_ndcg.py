"""NDCG: values of VisDial's code, and cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from flamingo_jax.evaluation.metrics.ndcg import ndcg
from tests.evaluation.metrics import golden


def test_stored_values_of_visdial() -> None:
    stored = golden.load("rankings.json")["ndcg"]
    found = ndcg(-np.asarray(stored["ranks"]), stored["relevance"])
    np.testing.assert_allclose(found, stored["per_item"], atol=golden.TOLERANCE)


def test_by_hand() -> None:
    # Two relevant ones, so the first two count: 0 and 1.0 against 1.0 and 0.5.
    (found,) = ndcg([[1.0, 3.0, 2.0]], [[0.5, 0.0, 1.0]])
    assert found == pytest.approx(100 * (1 / np.log2(3)) / (1 + 0.5 / np.log2(3)))


def test_best_order_is_100_and_ties_do_not_help() -> None:
    relevance = [[0.0, 1.0, 0.4, 0.0]]
    assert ndcg(relevance, relevance).tolist() == [100.0]
    assert ndcg([[0.0] * 4], relevance).tolist() == [0.0]


@pytest.mark.parametrize(
    ("scores", "relevance"),
    [([], []), ([[1.0]], [[0.0]]), ([[1.0, 2.0]], [[1.0]]), ([[float("nan")]], [[1.0]]),
     ([[1.0]], [[-1.0]])],
)  # fmt: skip
def test_misuse_is_refused(scores: list, relevance: list) -> None:
    with pytest.raises(ValueError):
        ndcg(scores, relevance)
