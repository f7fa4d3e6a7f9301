"""Area under the ROC curve: scikit-learn's values, and cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from flamingo_jax.evaluation.metrics.roc_auc import RocAuc
from tests.evaluation.metrics import golden


def test_stored_value_of_scikit_learn() -> None:
    stored = golden.load("rankings.json")["roc_auc"]
    found = RocAuc(stored["scores"], stored["labels"]).value()
    assert found == pytest.approx(stored["value"], abs=golden.TOLERANCE)


def test_equals_scikit_learn_with_ties_and_draws() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        labels = np.r_[0, 1, random.integers(2, size=30)]
        scores = random.integers(5, size=32) + labels
        draws = random.integers(4, size=(1, 32)).astype(float)
        draws[0, :2] = 1
        assert RocAuc(scores, labels).value() == pytest.approx(100 * roc_auc_score(labels, scores))
        drawn = roc_auc_score(labels, scores, sample_weight=draws[0])
        assert RocAuc(scores, labels).of_draws(draws)[0] == pytest.approx(100 * drawn)


def test_pairs_by_hand() -> None:
    # Positive 3 and 1, negative 2 and 1: won, won, lost, tied.
    assert RocAuc([3, 1, 2, 1], [1, 1, 0, 0]).value() == pytest.approx(100 * 2.5 / 4)


def test_a_draw_of_one_kind_has_no_area() -> None:
    area = RocAuc([0.1, 0.9], [0, 1]).of_draws(np.asarray([[2.0, 0.0], [1.0, 1.0]]))
    assert np.isnan(area[0]) and area[1] == 100.0


@pytest.mark.parametrize(
    ("scores", "labels"),
    [([1.0], [1]), ([1.0, 2.0], [1, 1]), ([1.0, float("nan")], [0, 1]), ([1.0, 2.0], [0, 2]),
     ([1.0, 2.0], [0])],
)  # fmt: skip
def test_misuse_is_refused(scores: list[float], labels: list[int]) -> None:
    with pytest.raises(ValueError):
        RocAuc(scores, labels)
