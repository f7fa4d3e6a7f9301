"""Retrieval among the pictures and captions of COCO and Flickr30k: recall at 1, 5 and 10.

A picture scores if any of its captions is among the first k of all; every caption is a query of its
own, and scores if its picture is among the first k. Of a picture's captions, the first five count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.metrics.bootstrap import bootstrap
from flamingo_jax.evaluation.metrics.retrieval import hits, num_wrong_ahead
from flamingo_jax.evaluation.scoring import Score

MOST_CAPTIONS = 5
"""Some pictures of COCO have six or seven; published numbers are over five each."""

CUTOFFS = (1, 5, 10)

_BLOCK = 1 << 24  # similarities held at a time


def captions(items: Sequence[Item]) -> tuple[list[str], np.ndarray]:
    """The captions of pictures, and for each the place of its picture, int [T]."""
    texts = [item.answers[:MOST_CAPTIONS] for item in items]
    image_T = np.repeat(np.arange(len(items)), list(map(len, texts)))
    return [text for of_image in texts for text in of_image], image_T


def score_retrieval(image_IE: np.ndarray, text_TE: np.ndarray, image_T: np.ndarray) -> list[Score]:
    """Recall in both directions.

    Wrong candidates win ties, as in `recall_at`; a caption that another picture has word for word
    is wrong for this one. Standard errors are by bootstrap over pictures, each drawn with all its
    captions, which are no independent queries.

    Args:
      image_IE: embeddings of the pictures, of length 1.
      text_TE: embeddings of the captions, of length 1.
      image_T: the place of each caption's picture; every picture has a caption.

    Returns:
      `image_to_text_recall_at_1`, `_5`, `_10`, then `text_to_image_recall_at_1`, `_5`, `_10`.

    Raises:
      ValueError: a NaN embedding, a picture without a caption, or fewer than two pictures.
    """
    image_I = np.arange(len(image_IE))
    directions = (
        ("image_to_text", image_IE, image_I, text_TE, image_T),
        ("text_to_image", text_TE, image_T, image_IE, image_I),
    )
    scores = []
    for direction, query_QE, image_Q, candidate_CE, image_C in directions:
        num_ahead_Q = _num_wrong_ahead(query_QE, image_Q, candidate_CE, image_C)
        scores += [
            _score(f"{direction}_recall_at_{k}", hits(k, num_ahead_Q), image_Q) for k in CUTOFFS
        ]
    return scores


def _num_wrong_ahead(
    query_QE: np.ndarray, image_Q: np.ndarray, candidate_CE: np.ndarray, image_C: np.ndarray
) -> np.ndarray:
    """As `num_wrong_ahead`, some queries at a time: all of COCO's would fill 500 MB."""
    rows = max(1, _BLOCK // len(candidate_CE))
    numbers = []
    for start in range(0, len(query_QE), rows):
        block = slice(start, start + rows)
        similarity_BC = query_QE[block] @ candidate_CE.T
        is_match_BC = image_Q[block, None] == image_C[None, :]
        numbers.append(num_wrong_ahead(similarity_BC, is_match_BC))
    return np.concatenate(numbers)


def _score(metric: str, hits_Q: np.ndarray, image_Q: np.ndarray) -> Score:
    hits_I, count_I = np.bincount(image_Q, hits_Q), np.bincount(image_Q)

    def measure(draws_RI: np.ndarray) -> np.ndarray:
        drawn: np.ndarray = draws_RI @ hits_I / (draws_RI @ count_I)
        return drawn

    stderr = bootstrap(measure, len(hits_I)).stderr
    return Score(metric=metric, value=float(hits_Q.mean()), stderr=stderr, n=len(hits_Q))
