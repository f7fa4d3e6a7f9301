"""Ranks of candidates against sorting all of them."""

from __future__ import annotations

import numpy as np
import pytest

from flamingo_jax.evaluation.two_tower_ranks import rank_candidates


def test_agrees_with_sorting() -> None:
    random = np.random.default_rng(0)
    query_QE, candidate_CE = random.normal(size=(40, 6)), random.normal(size=(25, 6))
    thing_Q, thing_C = random.integers(5, size=40), np.arange(25) % 5
    ranks = rank_candidates(query_QE, thing_Q, candidate_CE, thing_C, 7)
    for query in range(40):
        similarity_C = candidate_CE @ query_QE[query]
        order = np.argsort(-similarity_C)
        first_right = next(n for n, place in enumerate(order) if thing_C[place] == thing_Q[query])
        assert ranks.num_wrong_ahead[query] == first_right
        assert ranks.right[query] == pytest.approx(similarity_C[order[first_right]])
        assert ranks.best[query].tolist() == order[:7].tolist()
        assert ranks.similarity[query] == pytest.approx(similarity_C[order[:7]])


def test_wrong_candidates_win_ties() -> None:
    query_QE = np.ones((2, 3))
    ranks = rank_candidates(query_QE, np.array([0, 3]), np.ones((4, 3)), np.arange(4), 10)
    assert ranks.num_wrong_ahead.tolist() == [3, 3]
    assert sorted(ranks.best[0]) == [0, 1, 2, 3]  # There are no more.
