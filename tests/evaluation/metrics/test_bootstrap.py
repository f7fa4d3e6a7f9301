"""The bootstrap: against closed forms, seeds, and resamples in which a measure is undefined."""

from __future__ import annotations

import numpy as np
import pytest

from flamingo_jax.evaluation.metrics.bootstrap import bootstrap, mean_of


def test_interval_of_a_mean_against_the_normal_one() -> None:
    scores = np.random.default_rng(1).normal(50, 10, size=400)
    found = bootstrap(mean_of(scores), 400, resamples=4000)
    stderr = scores.std() / 20
    assert found.stderr == pytest.approx(stderr, rel=0.05)
    assert found.low == pytest.approx(scores.mean() - 1.96 * stderr, abs=0.1)
    assert found.high == pytest.approx(scores.mean() + 1.96 * stderr, abs=0.1)


def test_wider_with_more_confidence() -> None:
    measure = mean_of(np.arange(30.0))
    narrow, wide = (bootstrap(measure, 30, confidence=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high
    assert wide.stderr == narrow.stderr


def test_depends_on_its_seed_alone() -> None:
    measure = mean_of(np.arange(30.0))
    assert bootstrap(measure, 30, seed=3) == bootstrap(measure, 30, seed=3)
    assert bootstrap(measure, 30, seed=3) != bootstrap(measure, 30, seed=4)


def test_every_resample_draws_as_many_items_as_there_are() -> None:
    blocks = []

    def measure(draws_RN: np.ndarray) -> np.ndarray:
        blocks.append(draws_RN)
        return draws_RN[:, 0]

    bootstrap(measure, 7, resamples=50)
    draws = np.concatenate(blocks)
    assert draws.shape == (50, 7)
    assert (draws.sum(axis=1) == 7).all() and draws.max() > 1


def test_undefined_resamples_are_left_out() -> None:
    def measure(draws_RN: np.ndarray) -> np.ndarray:
        return np.where(draws_RN[:, 0] > 0, draws_RN[:, 0], np.nan)

    found = bootstrap(measure, 5, resamples=200)
    assert found.low == 1.0 and np.isfinite(found.stderr)
    with pytest.raises(ValueError, match="fewer than two"):
        bootstrap(lambda draws_RN: np.full(len(draws_RN), np.nan), 5)


@pytest.mark.parametrize(
    "arguments", [{"num_items": 1}, {"resamples": 1}, {"confidence": 1.0}, {"confidence": 0.0}]
)
def test_misuse_is_refused(arguments: dict) -> None:
    with pytest.raises(ValueError, match="needs at least"):
        bootstrap(mean_of([1.0, 2.0]), **{"num_items": 2, **arguments})
