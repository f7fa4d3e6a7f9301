"""BLEU: values of coco-caption, and cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flamingo_jax.evaluation.metrics.bleu import bleu_counts
from tests.evaluation.metrics import golden


def test_stored_values_of_coco_caption() -> None:
    stored = golden.load("captions.json")
    counts = bleu_counts(stored["predictions"], stored["references"])
    expected = 100 * np.asarray(stored["bleu"])
    np.testing.assert_allclose(counts.corpus()[0], expected, atol=golden.TOLERANCE)
    per_item = 100 * np.asarray(stored["bleu_per_item"]).T
    np.testing.assert_allclose(counts.per_item(), per_item, atol=golden.TOLERANCE)
    assert 20 < expected[3] < 80


def test_precision_is_clipped_and_short_predictions_are_punished() -> None:
    # Two of "the the the" are in the reference; three words where seven are right.
    counts = bleu_counts(["the the the"], [["the cat is on the mat now"]])
    assert counts.corpus()[0, 0] == pytest.approx(100 * 2 / 3 * math.exp(1 - 7 / 3))


def test_the_closest_reference_counts_and_the_shorter_of_two() -> None:
    counts = bleu_counts(["one two three"], [["a b c d", "a b", "a b c d e f"]])
    assert counts.reference_length.tolist() == [2.0]


def test_corpus_is_no_mean_of_items() -> None:
    counts = bleu_counts(["a b c d e", "x"], [["a b c d e"], ["y"]])
    assert counts.corpus()[0, 0] == pytest.approx(100 * 5 / 6)
    assert counts.per_item()[:, 0].mean() == pytest.approx(50)


def test_draws_weigh_items() -> None:
    counts = bleu_counts(["a b c d e", "x"], [["a b c d e"], ["y"]])
    draws = np.asarray([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    np.testing.assert_allclose(
        counts.corpus(draws)[:, 0], [100, 0, 100 * 5 / 6], atol=golden.TOLERANCE
    )


def test_misuse_is_refused() -> None:
    with pytest.raises(TypeError, match="item 0"):
        bleu_counts(["a"], ["a"])
