"""Tests of the background thread: order, positions, errors, closing."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.training.prefetch import Prefetcher


def count(step: int, start: int) -> Iterator[tuple[int, int]]:
    """Batches are their own positions; positions rise by `step`."""
    while True:
        yield start, start + step
        start += step


DATASETS = {"ones": functools.partial(count, 1), "threes": functools.partial(count, 3)}


def test_batches_come_in_order_with_the_positions_after_them() -> None:
    with Prefetcher(DATASETS, {"ones": 5, "threes": 30}) as prefetcher:
        for step in range(10):
            batches, positions = prefetcher.next()
            assert batches == {"ones": 5 + step, "threes": 30 + 3 * step}
            assert positions == {"ones": 6 + step, "threes": 33 + 3 * step}


def test_reads_no_further_ahead_than_its_depth() -> None:
    drawn: list[int] = []
    reached = threading.Event()

    def watched(start: int) -> Iterator[tuple[int, int]]:
        for batch, position in count(1, start):
            drawn.append(batch)
            if len(drawn) == 4:
                reached.set()
            yield batch, position

    with Prefetcher({"x": watched}, {"x": 0}, depth=2) as prefetcher:
        assert prefetcher.next()[0] == {"x": 0}
        # One taken, two ready, one in hand.
        assert reached.wait(10)
    assert drawn == [0, 1, 2, 3]


def test_error_of_a_dataset_is_raised_at_its_step() -> None:
    def broken(start: int) -> Iterator[tuple[int, int]]:
        yield start, start + 1
        raise OSError("shard is gone")

    with Prefetcher({"x": broken}, {"x": 0}) as prefetcher:
        assert prefetcher.next() == ({"x": 0}, {"x": 1})
        with pytest.raises(OSError, match="shard is gone"):
            prefetcher.next()


def test_dataset_that_ends_is_a_user_error() -> None:
    with (
        Prefetcher({"x": lambda start: iter([(0, 1)])}, {"x": 0}) as prefetcher,
        pytest.raises(UserError, match="dataset 'x' ended"),
    ):
        prefetcher.next()
        prefetcher.next()


def test_close_ends_the_thread() -> None:
    prefetcher = Prefetcher(DATASETS, {"ones": 0, "threes": 0})
    prefetcher.close()
    assert not any(thread.name == "prefetch" for thread in threading.enumerate())
