"""Retrieval of a two-tower model: recall at k in both directions (paper, appendix B.3.2)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from flamingo_jax.evaluation.metrics.items import POINTS


class Recall(NamedTuple):
    """Per-query recall in points.

    Attributes:
      image_to_text: float64 [I], 100 for each image that finds a text of its own among the first k.
      text_to_image: float64 [T], 100 for each text that finds an image of its own.
    """

    image_to_text: np.ndarray
    text_to_image: np.ndarray


def recall_at(k: int, similarity_IT: np.ndarray, is_match_IT: np.ndarray | None = None) -> Recall:
    """Recall at k of images for texts and of texts for images.

    A query is a hit if fewer than k wrong candidates are at least as similar as its most similar
    right one. Wrong candidates win ties, so equal embeddings find nothing.

    Args:
      k: how many candidates a query may look at, >= 1.
      similarity_IT: [I, T] similarity of each image with each text, for example cosines.
      is_match_IT: bool [I, T], which texts are right for which images. Several may be: pictures
        with five captions, or two pictures that share a caption. Default: the i-th with the i-th.

    Returns:
      Both directions; the mean of either is the usual R@k in percent.

    Raises:
      ValueError: k < 1, shapes that do not fit, a NaN similarity, or a query without a match.
    """
    similarity_IT = np.asarray(similarity_IT, dtype=np.float64)
    if similarity_IT.ndim != 2 or not similarity_IT.size:
        raise ValueError(f"similarities must be a non-empty matrix, not {similarity_IT.shape}")
    if is_match_IT is None:
        if similarity_IT.shape[0] != similarity_IT.shape[1]:
            raise ValueError(f"similarities {similarity_IT.shape} are not square: give the matches")
        is_match_IT = np.eye(similarity_IT.shape[0], dtype=bool)
    is_match_IT = np.asarray(is_match_IT, dtype=bool)
    if k < 1 or is_match_IT.shape != similarity_IT.shape:
        raise ValueError(
            f"k = {k}, matches {is_match_IT.shape} for similarities {similarity_IT.shape}"
        )
    return Recall(
        image_to_text=hits(k, num_wrong_ahead(similarity_IT, is_match_IT)),
        text_to_image=hits(k, num_wrong_ahead(similarity_IT.T, is_match_IT.T)),
    )


def num_wrong_ahead(similarity_QC: np.ndarray, is_match_QC: np.ndarray) -> np.ndarray:
    """How many wrong candidates are at least as similar as a query's most similar right one.

    A query's number does not depend on other queries, so that large matrices can be gone through
    some rows at a time.

    Args:
      similarity_QC: [Q, C] similarity of each query with each candidate.
      is_match_QC: bool [Q, C], which candidates are right.

    Returns:
      int [Q].

    Raises:
      ValueError: a NaN similarity, or a query without a match.
    """
    if np.isnan(similarity_QC).any():
        raise ValueError("a similarity is NaN")
    without = np.flatnonzero(~is_match_QC.any(axis=1))
    if without.size:
        raise ValueError(f"query {without[0]} has no match among the candidates")
    best_Q = np.where(is_match_QC, similarity_QC, -np.inf).max(axis=1)
    return (~is_match_QC & (similarity_QC >= best_Q[:, None])).sum(axis=1)


def hits(k: int, num_wrong_ahead_Q: np.ndarray) -> np.ndarray:
    """Hits at k in points, float64 [Q], of what `num_wrong_ahead` says."""
    return POINTS * (num_wrong_ahead_Q < k).astype(np.float64)
