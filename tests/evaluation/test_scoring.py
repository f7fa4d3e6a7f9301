"""Scores: the right metric with the right references, points, and standard errors."""

from __future__ import annotations

import numpy as np
import pytest

from flamingo_jax.evaluation import scoring

CAPTIONS = ["a red seven on black", "two blue ones on grey", "an orange two on white"]


def test_exact_match_and_its_standard_error() -> None:
    score = scoring.score_texts(
        "exact_match", ["red", "two", "Blue ", ""], ["red"] * 2 + ["blue"] * 2
    )
    assert score.value == 50.0 and score.n == 4
    # Four items of 0 and 100: deviation 57.7, over the root of 4.
    assert score.stderr == pytest.approx(100 / np.sqrt(3) / 2)


def test_one_right_answer_scores_full_vqa_accuracy() -> None:
    score = scoring.score_texts("vqa_accuracy", ["red", "green"], ["red", "blue"])
    assert (score.metric, score.value, score.n) == ("vqa_accuracy", 50.0, 2)
    assert score.stderr == pytest.approx(50.0)


def test_cider_of_perfect_captions_and_its_bootstrap() -> None:
    perfect = scoring.score_texts("cider", CAPTIONS, CAPTIONS)
    assert perfect.value == pytest.approx(1000.0, rel=1e-3)
    mixed = scoring.score_texts("cider", [CAPTIONS[0], "three", CAPTIONS[2]], CAPTIONS)
    assert 0 < mixed.value < perfect.value
    assert mixed.stderr > 0
    assert mixed == scoring.score_texts("cider", [CAPTIONS[0], "three", CAPTIONS[2]], CAPTIONS)


def test_rankings_are_scored_by_the_right_candidate_s_column() -> None:
    scores = np.log(np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3], [0.1, 0.2, 0.7]]))
    score = scoring.score_rankings(scores, ("zero", "one", "two"), ["one", "two", "two"])
    assert score.metric == "accuracy"
    assert score.value == pytest.approx(200 / 3)


def test_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(KeyError):
        scoring.score_texts("bleu", CAPTIONS, CAPTIONS)
