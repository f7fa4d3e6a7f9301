"""Candidates of a ranking as a trie: what they share is computed once.

A node is a token behind the tokens of its ancestors; candidates that begin alike share nodes. Only
nodes that something follows are put through the model, each once, in chunks of a fixed number of
nodes. Nodes are in preorder, so that what a chunk needs of earlier ones is no more than the
ancestors of its first node: memory is bounded by a chunk and a path, however many candidates there
are.

Shape letters: Q tries, K chunks, C nodes of a chunk, P nodes of a path, E edges out of a chunk's
nodes, R edges out of the root.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

_SMALL = 16
"""Sizes that cost little are multiples of this."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trie:
    """A trie, its nodes in preorder and the root left out.

    Attributes:
        token: int [N], token of each node.
        parent: int [N], the node before it; -1 for the root.
        depth: int [N], nodes between it and the root.
        end: int [N], the number behind the last of its descendants.
        nodes: int [candidates], the last node of each candidate.
    """

    token: np.ndarray
    parent: np.ndarray
    depth: np.ndarray
    end: np.ndarray
    nodes: np.ndarray

    def totals(self, scores: np.ndarray) -> np.ndarray:
        """Sums over the nodes of every candidate: [..., N] -> float64 [..., candidates]."""
        totals = np.array(scores, np.float64)
        for depth in range(1, int(self.depth.max()) + 1):
            level = self.depth == depth
            totals[..., level] += totals[..., self.parent[level]]
        return totals[..., self.nodes]


def make_trie(candidates: Sequence[Sequence[int]]) -> Trie:
    """The trie of token sequences; equal ones share their last node.

    Raises:
        ValueError: no candidates, or one without tokens.
    """
    if not candidates or not all(candidates):
        raise ValueError("expected one or more candidates, each of one or more tokens")
    number: dict[tuple[int, ...], int] = {}
    token, parent, depth = [], [], []
    # In lexicographic order every prefix comes before what it is a prefix of: preorder.
    for candidate in sorted(set(map(tuple, candidates))):
        for stop in range(1, len(candidate) + 1):
            prefix = candidate[:stop]
            if prefix not in number:
                number[prefix] = len(number)
                token.append(prefix[-1])
                parent.append(number.get(prefix[:-1], -1))
                depth.append(stop - 1)
    end = list(range(1, len(token) + 1))
    for node in reversed(range(len(token))):
        if parent[node] >= 0:
            end[parent[node]] = max(end[parent[node]], end[node])
    return Trie(
        token=np.array(token, np.int32),
        parent=np.array(parent, np.int32),
        depth=np.array(depth, np.int32),
        end=np.array(end, np.int32),
        nodes=np.array([number[tuple(candidate)] for candidate in candidates], np.int32),
    )


class Plan(NamedTuple):
    """How tries are put through the model, all padded to the same sizes; int32, on host or device.

    Sizes are rounded up, so that tries of about the same size have the same and are compiled once.

    The slots of a chunk are P for the path to its first node and C for its own nodes. A slot holds
    an ancestor of node i, or node i itself, if order <= i < end.

    Attributes:
        token: [Q, K, C].
        order: [Q, K, P + C], number of a slot's node; -1 for padding.
        end: [Q, K, P + C], behind its descendants; 0 for padding.
        depth: [Q, K, P + C], tokens of the answer before it.
        path: [Q, K, P], the slot of the previous chunk that a path's node was in.
        edge_node: [Q, K, E], the node of the chunk that an edge leaves.
        edge_token: [Q, K, E], the token that it leads to.
        root_token: [Q, R], the tokens that follow the prompt.
    """

    token: Any
    order: Any
    end: Any
    depth: Any
    path: Any
    edge_node: Any
    edge_token: Any
    root_token: Any


class _Chunk(NamedTuple):
    """Nodes that are put through the model together.

    Attributes:
        nodes: their numbers.
        path: numbers of the ancestors of the first.
        edges: numbers of the nodes that follow them.
    """

    nodes: np.ndarray
    path: list[int]
    edges: np.ndarray


def plan_tries(tries: Sequence[Trie], max_chunk_size: int) -> tuple[Plan, list[np.ndarray]]:
    """Cuts tries into chunks.

    Args:
        tries: one or more.
        max_chunk_size: C at most.

    Returns:
        The plan, and for each trie the columns [N] of its nodes in R root edges followed by the
        K * E edges of all chunks.
    """
    num_inner = [int((trie.end > np.arange(1, len(trie.end) + 1)).sum()) for trie in tries]
    C = min(max_chunk_size, _multiple(max(1, *num_inner), _SMALL))
    chunks = [_chunks(trie, C) for trie in tries]
    flat = [chunk for some in chunks for chunk in some]
    most = max(map(len, chunks))
    K = _multiple(most, 2 ** max(most.bit_length() - 4, 0))  # Every chunk costs: an eighth more.
    P = _multiple(max((len(chunk.path) for chunk in flat), default=0), _SMALL)
    E = _multiple(max((len(chunk.edges) for chunk in flat), default=0), 2 * C)
    R = _multiple(max(int((trie.parent < 0).sum()) for trie in tries), _SMALL)
    Q = len(tries)
    plan = Plan(
        token=np.zeros((Q, K, C), np.int32),
        order=np.full((Q, K, P + C), -1, np.int32),
        end=np.zeros((Q, K, P + C), np.int32),
        depth=np.zeros((Q, K, P + C), np.int32),
        path=np.zeros((Q, K, P), np.int32),
        edge_node=np.zeros((Q, K, E), np.int32),
        edge_token=np.zeros((Q, K, E), np.int32),
        root_token=np.zeros((Q, R), np.int32),
    )
    columns = [
        _fill(Plan(*(field[row] for field in plan)), trie, some, P)
        for row, (trie, some) in enumerate(zip(tries, chunks, strict=True))
    ]
    return plan, columns


def _multiple(size: int, step: int) -> int:
    """The size, rounded up to a multiple."""
    return -(-size // step) * step


def _chunks(trie: Trie, size: int) -> list[_Chunk]:
    """The nodes that something follows, in chunks."""
    numbers = np.arange(len(trie.token))
    inner = numbers[trie.end > numbers + 1]
    by_parent = np.argsort(trie.parent, kind="stable")
    chunks = []
    for start in range(0, len(inner), size):
        nodes = inner[start : start + size]
        path: list[int] = []
        ancestor = int(trie.parent[nodes[0]])
        while ancestor >= 0:
            path.insert(0, ancestor)
            ancestor = int(trie.parent[ancestor])
        # The children of a run of inner nodes are a run in the order of parents.
        first, stop = np.searchsorted(
            trie.parent, [nodes[0], nodes[-1] + 1], sorter=by_parent
        ).tolist()
        chunks.append(_Chunk(nodes, path, by_parent[first:stop]))
    return chunks


def _fill(plan: Plan, trie: Trie, chunks: Sequence[_Chunk], path_size: int) -> np.ndarray:
    """Writes the chunks of one trie into its part of a plan; returns the columns of its nodes."""
    column = np.zeros(len(trie.token), np.int64)
    roots = np.flatnonzero(trie.parent < 0)
    plan.root_token[: len(roots)] = trie.token[roots]
    column[roots] = np.arange(len(roots))
    num_roots, num_edges = len(plan.root_token), plan.edge_token.shape[1]
    previous: dict[int, int] = {}
    for row, chunk in enumerate(chunks):
        slot = {node: index for index, node in enumerate(chunk.path)}
        slot |= {node: path_size + index for index, node in enumerate(chunk.nodes.tolist())}
        nodes, slots = list(slot), list(slot.values())
        plan.token[row, : len(chunk.nodes)] = trie.token[chunk.nodes]
        plan.order[row, slots] = nodes
        plan.end[row, slots] = trie.end[nodes]
        plan.depth[row, slots] = trie.depth[nodes]
        plan.path[row, : len(chunk.path)] = [previous[node] for node in chunk.path]
        edges = chunk.edges
        place = {node: index for index, node in enumerate(chunk.nodes.tolist())}
        plan.edge_node[row, : len(edges)] = [place[node] for node in trie.parent[edges].tolist()]
        plan.edge_token[row, : len(edges)] = trie.token[edges]
        column[edges] = num_roots + row * num_edges + np.arange(len(edges))
        previous = slot
    return column
