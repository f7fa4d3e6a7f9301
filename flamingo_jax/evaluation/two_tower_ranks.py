"""Which candidates are most similar to a query, and how many wrong ones are ahead of the right one.

Shape letters: Q queries, C candidates, E width of the embeddings, K best candidates.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from flamingo_jax.evaluation.metrics.retrieval import num_wrong_ahead

_BLOCK = 1 << 24  # similarities held at a time


class Ranks(NamedTuple):
    """What is known of each query's candidates.

    Attributes:
      num_wrong_ahead: int [Q], wrong candidates at least as similar as the most similar right one.
      right: float32 [Q], the similarity of that one.
      best: int [Q, K], the most similar candidates, the first one first.
      similarity: float32 [Q, K], theirs.
    """

    num_wrong_ahead: np.ndarray
    right: np.ndarray
    best: np.ndarray
    similarity: np.ndarray


def rank_candidates(
    query_QE: np.ndarray,
    thing_Q: np.ndarray,
    candidate_CE: np.ndarray,
    thing_C: np.ndarray,
    num_best: int,
) -> Ranks:
    """Ranks all candidates of all queries, some queries at a time.

    Args:
      query_QE: embeddings of the queries, of length 1.
      thing_Q: int, what each query is of.
      candidate_CE: embeddings of the candidates, of length 1.
      thing_C: int, what each candidate is of; those of the query's thing are right.
      num_best: how many candidates are told of each query; fewer if there are fewer.

    Returns:
      The ranks.

    Raises:
      ValueError: a NaN embedding, or a query without a right candidate.
    """
    rows = max(1, _BLOCK // len(candidate_CE))
    blocks = []
    for start in range(0, len(query_QE), rows):
        block = slice(start, start + rows)
        # All similarities of COCO at once would fill 500 MB.
        similarity_BC = query_QE[block] @ candidate_CE.T
        is_right_BC = thing_Q[block, None] == thing_C[None, :]
        blocks.append(_rank(similarity_BC, is_right_BC, min(num_best, len(candidate_CE))))
    return Ranks(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def _rank(similarity_BC: np.ndarray, is_right_BC: np.ndarray, num_best: int) -> Ranks:
    num_ahead_B = num_wrong_ahead(similarity_BC, is_right_BC)
    best_BK = np.argpartition(-similarity_BC, num_best - 1, axis=1)[:, :num_best]
    found_BK = np.take_along_axis(similarity_BC, best_BK, axis=1)
    order_BK = np.argsort(-found_BK, axis=1, kind="stable")
    return Ranks(
        num_wrong_ahead=num_ahead_B,
        right=np.where(is_right_BC, similarity_BC, -np.inf).max(axis=1),
        best=np.take_along_axis(best_BK, order_BK, axis=1),
        similarity=np.take_along_axis(found_BK, order_BK, axis=1),
    )
