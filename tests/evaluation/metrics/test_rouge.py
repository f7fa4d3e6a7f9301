"""ROUGE-L: values of coco-caption, and cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from flamingo_jax.evaluation.metrics.rouge import rouge_l
from tests.evaluation.metrics import golden


def test_stored_values_of_coco_caption() -> None:
    stored = golden.load("captions.json")
    found = rouge_l(stored["predictions"], stored["references"])
    expected = 100 * np.asarray(stored["rouge_l_per_item"])
    np.testing.assert_allclose(found, expected, atol=golden.TOLERANCE)
    assert found.mean() == pytest.approx(100 * stored["rouge_l"], abs=golden.TOLERANCE)


def test_order_counts() -> None:
    # Common subsequence of two words of three: precision and recall 2/3, so F is 2/3.
    assert rouge_l(["b a c"], [["a b c"]])[0] == pytest.approx(200 / 3)


def test_best_precision_and_best_recall_may_be_of_two_references() -> None:
    # Precision 1/2 (first reference: "a"), recall 1 (second: "b"); F with beta 1.2.
    expected = 100 * (1 + 1.44) * 0.5 * 1 / (1 + 1.44 * 0.5)
    assert rouge_l(["a b"], [["a x y"], ["b"]][:1] + [])[0] < expected
    assert rouge_l(["a b"], [["a x y", "b"]])[0] == pytest.approx(expected)


def test_two_empty_captions_agree_as_in_coco_caption() -> None:
    assert rouge_l(["", "."], [[""], ["a"]]).tolist() == [100.0, 0.0]
