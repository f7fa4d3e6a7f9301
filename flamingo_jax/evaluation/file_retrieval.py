"""Retrieval among the pictures and captions of COCO and Flickr30k: recall at 1, 5 and 10.

A picture scores if any of its captions is among the first k of all; every caption is a query of its
own, and scores if its picture is among the first k. Of a picture's captions, the first five count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.metrics.bootstrap import bootstrap
from flamingo_jax.evaluation.metrics.retrieval import hits
from flamingo_jax.evaluation.scoring import Score

MOST_CAPTIONS = 5
"""Some pictures of COCO have six or seven; published numbers are over five each."""

CUTOFFS = (1, 5, 10)

IMAGE_TO_TEXT, TEXT_TO_IMAGE = "image_to_text", "text_to_image"


def captions(items: Sequence[Item]) -> tuple[list[str], np.ndarray]:
    """The captions of pictures, and for each the place of its picture, int [T]."""
    texts = [item.answers[:MOST_CAPTIONS] for item in items]
    image_T = np.repeat(np.arange(len(items)), list(map(len, texts)))
    return [text for of_image in texts for text in of_image], image_T


def score_retrieval(
    direction: str, num_wrong_ahead_Q: np.ndarray, image_Q: np.ndarray
) -> list[Score]:
    """Recall in one direction.

    Standard errors are by bootstrap over pictures, each drawn with all its captions, which are no
    independent queries.

    Args:
      direction: `IMAGE_TO_TEXT` or `TEXT_TO_IMAGE`.
      num_wrong_ahead_Q: wrong candidates at least as similar as each query's most similar right
        one: they win ties, and so does a caption that another picture has word for word.
      image_Q: the place of the picture that each query is, or is a caption of; every picture has
        a query.

    Returns:
      `image_to_text_recall_at_1`, `_5`, `_10`, or those of the other direction.

    Raises:
      ValueError: fewer than two pictures.
    """
    return [
        _score(f"{direction}_recall_at_{k}", hits(k, num_wrong_ahead_Q), image_Q) for k in CUTOFFS
    ]


def _score(metric: str, hits_Q: np.ndarray, image_Q: np.ndarray) -> Score:
    hits_I, count_I = np.bincount(image_Q, hits_Q), np.bincount(image_Q)

    def measure(draws_RI: np.ndarray) -> np.ndarray:
        drawn: np.ndarray = draws_RI @ hits_I / (draws_RI @ count_I)
        return drawn

    stderr = bootstrap(measure, len(hits_I)).stderr
    return Score(metric=metric, value=float(hits_Q.mean()), stderr=stderr, n=len(hits_Q))
