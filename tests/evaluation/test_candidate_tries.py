"""Tries of candidates: every prefix once, chunks that need no more than a path."""

from __future__ import annotations

import numpy as np
import pytest

from flamingo_jax.evaluation.candidate_tries import make_trie, plan_tries

CANDIDATES = [(5, 6, 7), (5, 9), (5, 6), (4, 9), (5, 6, 8, 9), (5, 9)]


def _random_candidates(count: int, seed: int = 0) -> list[tuple[int, ...]]:
    random = np.random.default_rng(seed)
    return [(*map(int, random.integers(4, 8, random.integers(1, 6))), 9) for _ in range(count)]


def _prefixes(candidates: list[tuple[int, ...]]) -> set[tuple[int, ...]]:
    return {candidate[:stop] for candidate in candidates for stop in range(1, len(candidate) + 1)}


def test_a_node_for_every_prefix_in_preorder() -> None:
    trie = make_trie(CANDIDATES)
    assert trie.token.tolist() == [4, 9, 5, 6, 7, 8, 9, 9]
    assert trie.parent.tolist() == [-1, 0, -1, 2, 3, 3, 5, 2]
    assert trie.depth.tolist() == [0, 1, 0, 1, 2, 2, 3, 1]
    assert trie.end.tolist() == [2, 2, 8, 7, 5, 7, 7, 8]
    assert trie.nodes.tolist() == [4, 7, 3, 1, 6, 7]


def test_totals_are_sums_along_the_candidates() -> None:
    trie = make_trie(CANDIDATES)
    scores = np.arange(16.0).reshape(2, 8)
    expected = [2 + 3 + 4, 2 + 7, 2 + 3, 0 + 1, 2 + 3 + 5 + 6, 2 + 7]
    assert trie.totals(scores)[0].tolist() == expected
    assert trie.totals(scores)[1].tolist() == [
        total + 8 * len(candidate) for total, candidate in zip(expected, CANDIDATES, strict=True)
    ]


@pytest.mark.parametrize("candidates", [[], [()], [(4, 5), ()]])
def test_a_candidate_without_tokens_is_an_error(candidates: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="one or more tokens"):
        make_trie(candidates)


@pytest.mark.parametrize("chunk_size", [1, 3, 64])
def test_every_prefix_that_goes_on_is_computed_once_and_sees_its_own_prefixes(
    chunk_size: int,
) -> None:
    """Walks the plan as the device does, with the prefixes themselves for keys and values."""
    sets = [_random_candidates(60), _random_candidates(7, seed=1), [(9,)]]
    tries = [make_trie(candidates) for candidates in sets]
    plan, columns = plan_tries(tries, chunk_size)
    Q, K, C = plan.token.shape
    P = plan.path.shape[-1]
    assert chunk_size >= C and len(columns) == Q
    for row, candidates in enumerate(sets):
        computed = []
        edges: dict[int, tuple[int, ...]] = dict(
            enumerate((int(token),) for token in plan.root_token[row])
        )
        slots: list[tuple[int, ...]] = [()] * (P + C)
        for chunk in range(K):
            order, end = plan.order[row, chunk], plan.end[row, chunk]
            slots = [slots[slot] for slot in plan.path[row, chunk]] + [()] * C
            for slot in np.flatnonzero(order[P:] >= 0) + P:
                ancestors = [
                    other for other in range(P + C)
                    if other != slot and order[other] <= order[slot] < end[other]
                ]  # fmt: skip
                ancestors.sort(key=lambda other: plan.depth[row, chunk, other])
                prefix = slots[ancestors[-1]] if ancestors else ()
                assert [len(slots[other]) for other in ancestors] == list(
                    range(1, len(ancestors) + 1)
                )
                slots[slot] = (*prefix, int(plan.token[row, chunk, slot - P]))
                assert plan.depth[row, chunk, slot] == len(prefix)
                computed.append(slots[slot])
            for index, (node, token) in enumerate(
                zip(plan.edge_node[row, chunk], plan.edge_token[row, chunk], strict=True)
            ):
                column = plan.root_token.shape[1] + chunk * plan.edge_node.shape[-1] + index
                edges[column] = (*slots[P + node], int(token))
        prefixes = _prefixes(candidates)
        inner = {prefix[:-1] for prefix in prefixes} - {()}
        assert len(computed) == len(set(computed)) and set(computed) == inner
        assert {edges[column] for column in columns[row].tolist()} == prefixes


def test_memory_is_bounded_by_a_chunk_and_a_path() -> None:
    plan, _ = plan_tries([make_trie(_random_candidates(500))], 8)
    assert plan.token.shape[-1] == 8
    assert plan.order.shape[-1] == 8 + 16  # Candidates have up to 6 tokens: a path is rounded up.
