"""The order of a finite dataset over its epochs."""

from __future__ import annotations

import collections
import math

import pytest
from scipy import stats

from flamingo_jax.data import epochs

SIZE = 50


def _epoch(number: int, seed: int = 0) -> list[int]:
    first = number * SIZE
    return [
        epochs.example_at(position, SIZE, seed, "text/documentation", "train")
        for position in range(first, first + SIZE)
    ]


def test_every_epoch_has_every_example_once() -> None:
    for number in (0, 1, 7):
        assert sorted(_epoch(number)) == list(range(SIZE))


def test_epochs_differ_runs_agree_and_seeds_differ() -> None:
    orders = [_epoch(number) for number in range(6)]
    assert len({tuple(order) for order in orders}) == 6
    assert list(range(SIZE)) not in orders
    epochs._permutation.cache_clear()
    assert _epoch(2) == orders[2]
    assert _epoch(2, seed=1) != orders[2]


def test_any_position_is_reached_at_once() -> None:
    far = 10**12 * SIZE
    found = {
        epochs.example_at(far + place, SIZE, 0, "text/documentation", "train")
        for place in range(SIZE)
    }
    assert found == set(range(SIZE))


@pytest.mark.parametrize("size", [1, 2, 3, 15, 16, 17, 255, 257, 1000])
def test_all_sizes_are_permuted(size: int) -> None:
    order = [epochs.example_at(size + place, size, 0, "s", "train") for place in range(size)]
    assert sorted(order) == list(range(size))


@pytest.mark.parametrize("size", [4, 5])
def test_all_orders_are_equally_likely(size: int) -> None:
    num_seeds = 40 * math.factorial(size)
    orders = collections.Counter(
        tuple(epochs.example_at(place, size, seed, "s", "train") for place in range(size))
        for seed in range(num_seeds)
    )
    assert len(orders) == math.factorial(size)
    assert stats.chisquare(list(orders.values())).pvalue > 0.001


def test_neighbours_of_a_large_dataset_are_far_apart() -> None:
    size = 10**9 + 7
    order = [epochs.example_at(place, size, 0, "s", "train") for place in range(4000)]
    assert len(set(order)) == len(order)
    assert stats.kstest([number / size for number in order], "uniform").pvalue > 0.001
    assert abs(stats.pearsonr(order[:-1], order[1:]).statistic) < 0.06
