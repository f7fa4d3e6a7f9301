"""Scores: the right metric with the right references, points, and standard errors."""

from __future__ import annotations

import numpy as np
import pytest

from flamingo_jax.evaluation import scoring

CAPTIONS = ["a red seven on black", "two blue ones on grey", "an orange two on white"]
REFERENCES = [[caption] for caption in CAPTIONS]


def test_exact_match_and_its_standard_error() -> None:
    score = scoring.score_texts(
        "exact_match", ["red", "two", "Blue ", ""], [["red"]] * 2 + [["blue"]] * 2
    )
    assert score.value == 50.0 and score.n == 4
    # Four items of 0 and 100: deviation 57.7, over the root of 4.
    assert score.stderr == pytest.approx(100 / np.sqrt(3) / 2)


def test_one_right_answer_scores_full_vqa_accuracy() -> None:
    score = scoring.score_texts("vqa_accuracy", ["red", "green"], [["red"], ["blue"]])
    assert (score.metric, score.value, score.n) == ("vqa_accuracy", 50.0, 2)
    assert score.stderr == pytest.approx(50.0)


def test_cider_of_perfect_captions_and_its_bootstrap() -> None:
    perfect = scoring.score_texts("cider", CAPTIONS, REFERENCES)
    assert perfect.value == pytest.approx(1000.0, rel=1e-3)
    mixed = scoring.score_texts("cider", [CAPTIONS[0], "three", CAPTIONS[2]], REFERENCES)
    assert 0 < mixed.value < perfect.value
    assert mixed.stderr > 0
    assert mixed == scoring.score_texts("cider", [CAPTIONS[0], "three", CAPTIONS[2]], REFERENCES)


def test_any_of_several_references_counts() -> None:
    answers = [["red", "crimson"], ["blue"]]
    assert scoring.score_texts("exact_match", ["crimson", "red"], answers).value == 50.0
    # Cosines are averaged over the references: one of two is met, the other shares nothing.
    both = [[caption, "sheep graze under tall trees"] for caption in CAPTIONS]
    assert scoring.score_texts("cider", CAPTIONS, both).value == pytest.approx(500.0, rel=1e-3)


def test_people_who_answered_the_vqa_question_are_counted() -> None:
    two_of_ten = [["red"] * 2 + ["crimson"] * 8] * 2
    # Two people are two thirds of the three that a full score takes; each of them, asked to judge
    # the other nine, sees one, the eight others see two: (2 * 1/3 + 8 * 2/3) / 10.
    score = scoring.score_texts("vqa_accuracy", ["red", "red"], two_of_ten)
    assert score.value == pytest.approx(60.0)


def test_rankings_are_scored_by_the_right_candidate_s_column() -> None:
    scores = np.log(np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3], [0.1, 0.2, 0.7]]))
    score = scoring.score_rankings(scores, ("zero", "one", "two"), ["one", "two", "two"])
    assert score.metric == "accuracy"
    assert score.value == pytest.approx(200 / 3)


def test_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(KeyError):
        scoring.score_texts("bleu", CAPTIONS, REFERENCES)
