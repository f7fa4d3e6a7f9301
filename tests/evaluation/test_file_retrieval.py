"""Retrieval over several captions a picture, against plain sorting."""

from __future__ import annotations

import numpy as np
import pytest

from flamingo_jax.evaluation import two_tower_ranks
from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.file_retrieval import (
    IMAGE_TO_TEXT,
    TEXT_TO_IMAGE,
    captions,
    score_retrieval,
)
from flamingo_jax.evaluation.scoring import Score
from flamingo_jax.evaluation.two_tower_ranks import rank_candidates

NUM_IMAGES = 30


def _score(image_IE: np.ndarray, text_TE: np.ndarray, image_T: np.ndarray) -> list[Score]:
    """Both directions."""
    image_I = np.arange(len(image_IE))
    of_images = rank_candidates(image_IE, image_I, text_TE, image_T, 10)
    of_texts = rank_candidates(text_TE, image_T, image_IE, image_I, 10)
    return [
        *score_retrieval(IMAGE_TO_TEXT, of_images.num_wrong_ahead, image_I),
        *score_retrieval(TEXT_TO_IMAGE, of_texts.num_wrong_ahead, image_T),
    ]


def _made_up() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures with one to five captions each, that are more or less like them."""
    random = np.random.default_rng(0)
    image_IE = random.normal(size=(NUM_IMAGES, 6)).astype(np.float32)
    image_T = np.repeat(np.arange(NUM_IMAGES), random.integers(1, 6, NUM_IMAGES))
    text_TE = (image_IE[image_T] + random.normal(size=(len(image_T), 6))).astype(np.float32)
    return image_IE, text_TE, image_T


def _by_metric(scores: list[Score]) -> dict[str, Score]:
    return {score.metric: score for score in scores}


def test_agrees_with_sorting() -> None:
    image_IE, text_TE, image_T = _made_up()
    found = _by_metric(_score(image_IE, text_TE, image_T))
    similarity_IT = image_IE @ text_TE.T
    for k in (1, 5, 10):
        of_images = [
            any(image_T[text] == image for text in np.argsort(-similarity_IT[image])[:k])
            for image in range(NUM_IMAGES)
        ]
        of_texts = [
            image_T[text] in np.argsort(-similarity_IT[:, text])[:k] for text in range(len(image_T))
        ]
        to_text = found[f"image_to_text_recall_at_{k}"]
        to_image = found[f"text_to_image_recall_at_{k}"]
        assert to_text.value == pytest.approx(100 * np.mean(of_images))
        assert to_image.value == pytest.approx(100 * np.mean(of_texts))
        assert (to_text.n, to_image.n) == (NUM_IMAGES, len(image_T))
    assert 0 < found["image_to_text_recall_at_1"].value < 100
    assert list(found) == [
        f"{direction}_recall_at_{k}"
        for direction in ("image_to_text", "text_to_image")
        for k in (1, 5, 10)
    ]


def test_queries_gone_through_in_blocks_score_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = _score(*_made_up())
    monkeypatch.setattr(two_tower_ranks, "_BLOCK", 200)  # two images, or six texts
    assert _score(*_made_up()) == at_once


def test_captions_of_one_picture_are_no_independent_queries() -> None:
    # A picture's five captions are all found, or none is.
    random = np.random.default_rng(1)
    is_found_I = random.integers(2, size=200).astype(bool)
    image_IE = np.eye(201, dtype=np.float32)[:200]
    text_IE = np.where(is_found_I[:, None], image_IE, np.eye(201, dtype=np.float32)[200])
    image_T = np.repeat(np.arange(200), 5)
    found = _by_metric(_score(image_IE, text_IE[image_T], image_T))
    score = found["text_to_image_recall_at_1"]
    assert score.value == pytest.approx(100 * is_found_I.mean())
    of_pictures = 100 * is_found_I.std(ddof=1) / np.sqrt(200)
    assert score.stderr == pytest.approx(of_pictures, rel=0.15)


def test_equal_embeddings_find_nothing() -> None:
    scores = _score(np.ones((20, 3)), np.ones((40, 3)), np.repeat(np.arange(20), 2))
    assert [score.value for score in scores] == [0.0] * 6


def test_only_the_first_five_captions_count() -> None:
    items = [
        Item(id="a", medium="a.jpg", answers=tuple("abcdefg")),
        Item(id="b", medium="b.jpg", answers=("x", "y")),
    ]
    texts, image_T = captions(items)
    assert texts == [*"abcde", "x", "y"]
    assert image_T.tolist() == [0] * 5 + [1] * 2
