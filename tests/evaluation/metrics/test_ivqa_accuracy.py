"""Accuracy of iVQA: values of just-ask's code, and cases by hand."""

from __future__ import annotations

import numpy as np
import pytest

from flamingo_jax.evaluation.metrics.ivqa_accuracy import ivqa_accuracy
from tests.evaluation.metrics import golden


def test_stored_values_of_just_ask() -> None:
    stored = golden.load("rankings.json")["ivqa"]
    found = ivqa_accuracy(stored["predictions"], stored["answers"])
    np.testing.assert_allclose(found, stored["per_item"], atol=golden.TOLERANCE)
    assert set(found) == {0.0, 50.0, 100.0}


@pytest.mark.parametrize(("matches", "points"), [(0, 0), (1, 50), (2, 100), (5, 100)])
def test_two_people_are_enough(matches: int, points: float) -> None:
    answers = ["knife"] * matches + ["pan"] * (5 - matches)
    assert ivqa_accuracy(["Knife."], [answers]).tolist() == [points]
