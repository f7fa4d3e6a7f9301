"""RICES: shots that look like the query (Yang et al. 2021; paper, section 4.2 and appendix A.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def pool(features_FPD: np.ndarray) -> np.ndarray:
    """One vector of a picture: the mean of the vision encoder's features over frames and places.

    Args:
      features_FPD: float [..., F, P, D].

    Returns:
      float32 [..., D], of length 1.
    """
    mean_D = np.asarray(features_FPD, np.float32).mean(axis=(-3, -2))
    return mean_D / np.maximum(np.linalg.norm(mean_D, axis=-1, keepdims=True), 1e-12)


def nearest(similarity_S: np.ndarray, rows: Sequence[int] | np.ndarray, count: int) -> list[int]:
    """The most similar support pictures, nearest last.

    Args:
      similarity_S: cosine of the query with every support picture.
      rows: the support pictures to choose from.
      count: how many, at most as many as there are.

    Returns:
      Their rows, by increasing similarity; of equal ones the lower row counts as nearer.
    """
    rows = np.sort(np.asarray(rows))
    by_falling_similarity = rows[np.argsort(-similarity_S[rows], kind="stable")]
    return [int(row) for row in by_falling_similarity[:count][::-1]]
