"""Standard errors: closed forms, and the bootstrap against them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from flamingo_jax.evaluation.metrics.standard_error import standard_error


def test_binary_scores_by_hand() -> None:
    # 450 of 500 right: the sample variance of 0/100 scores is 100^2 p (1 - p) n / (n - 1).
    scores = [100.0] * 450 + [0.0] * 50
    assert standard_error(scores) == pytest.approx(100 * math.sqrt(0.9 * 0.1 / 499))


def test_two_scores_by_hand() -> None:
    assert standard_error([0.0, 2.0]) == pytest.approx(1.0)
    assert standard_error([3.0, 3.0, 3.0]) == 0.0


def test_bootstrap_agrees_with_closed_form() -> None:
    scores = np.random.default_rng(1).gamma(1.0, 100.0, size=400)
    found = standard_error(scores, method="bootstrap", seed=0, resamples=4000)
    # 4000 resamples know a standard deviation to about 1 / sqrt(8000) = 1.1%.
    assert found == pytest.approx(standard_error(scores), rel=0.05)


def test_bootstrap_depends_on_its_seed_alone() -> None:
    scores = np.arange(50.0)
    first = standard_error(scores, method="bootstrap", seed=3)
    assert first == standard_error(scores, method="bootstrap", seed=3)
    assert first != standard_error(scores, method="bootstrap", seed=4)


@pytest.mark.parametrize("scores", [[], [1.0], [1.0, float("nan")], [[1.0, 2.0]]])
def test_misuse_is_refused(scores: list) -> None:
    with pytest.raises(ValueError):
        standard_error(scores)
    with pytest.raises(ValueError):
        standard_error([1.0, 2.0], method="jackknife")
