"""Recall at k: hand-worked matrices, ties, several matches, and the same by plain sorting."""

from __future__ import annotations

import numpy as np
import pytest

from flamingo_jax.evaluation.metrics.retrieval import recall_at
from tests.evaluation.metrics import golden


def test_both_directions_by_hand() -> None:
    # Image 1 prefers text 0; both columns are won by the right image.
    similarity_IT = np.array([[0.9, 0.1], [0.6, 0.5]])
    recall = recall_at(1, similarity_IT)
    assert recall.image_to_text.tolist() == [100.0, 0.0]
    assert recall.text_to_image.tolist() == [100.0, 100.0]
    assert recall_at(2, similarity_IT).image_to_text.tolist() == [100.0, 100.0]


def test_agrees_with_sorting() -> None:
    similarity_IT = np.random.default_rng(0).normal(size=(40, 40))
    for k in (1, 5, 10):
        recall = recall_at(k, similarity_IT)
        for found, matrix in (
            (recall.image_to_text, similarity_IT),
            (recall.text_to_image, similarity_IT.T),
        ):
            expected = [100.0 * (q in np.argsort(-matrix[q])[:k]) for q in range(40)]
            assert found.tolist() == expected


def test_several_matches() -> None:
    # Two images share text 0; image 0 has a second text of its own.
    is_match_IT = np.array([[True, True], [True, False]])
    recall = recall_at(1, np.array([[0.1, 0.8], [0.2, 0.7]]), is_match_IT)
    assert recall.image_to_text.tolist() == [100.0, 0.0]
    assert recall.text_to_image.tolist() == [100.0, 100.0]


def test_ties_are_misses() -> None:
    recall = recall_at(1, np.ones((3, 3)))
    assert recall.image_to_text.tolist() == recall.text_to_image.tolist() == [0.0] * 3


@pytest.mark.parametrize(
    ("k", "similarity_IT", "is_match_IT"),
    [
        (0, np.eye(2), None),
        (1, np.ones((2, 3)), None),
        (1, np.eye(2), np.ones((2, 3), bool)),
        (1, np.full((2, 2), np.nan), None),
        (1, np.eye(2), np.array([[True, False], [False, False]])),
        (1, np.zeros((0, 0)), None),
    ],
)
def test_misuse_is_refused(
    k: int, similarity_IT: np.ndarray, is_match_IT: np.ndarray | None
) -> None:
    with pytest.raises(ValueError):
        recall_at(k, similarity_IT, is_match_IT)


@pytest.mark.parametrize("k", [1, 5])
def test_stored_values_of_torch_topk(k: int) -> None:
    stored = golden.load("rankings.json")["recall"]
    images = np.asarray(stored["images"])
    is_match = np.arange(8)[:, None] == images
    recall = recall_at(k, np.asarray(stored["similarity"]), is_match)
    assert recall.image_to_text.tolist() == stored[f"image_to_text_{k}"]
    assert recall.text_to_image.tolist() == stored[f"text_to_image_{k}"]
