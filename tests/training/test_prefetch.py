"""Tests of the background thread: order, positions, errors, closing."""

from __future__ import annotations

import functools
import threading
import time
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


def test_batches_are_put_in_place_by_the_thread_itself() -> None:
    placed_by: list[str] = []

    def place(batch: int) -> str:
        placed_by.append(threading.current_thread().name)
        return f"placed {batch}"

    with Prefetcher(DATASETS, {"ones": 0, "threes": 0}, place=place) as prefetcher:
        assert prefetcher.next()[0] == {"ones": "placed 0", "threes": "placed 0"}
    assert set(placed_by) == {"prefetch"}


def test_counts_the_time_that_its_user_waits() -> None:
    def slow(start: int) -> Iterator[tuple[int, int]]:
        for batch, position in count(1, start):
            time.sleep(0.1 if batch < 3 else 0)
            yield batch, position

    with Prefetcher({"x": slow}, {"x": 0}) as prefetcher:
        for _ in range(3):
            prefetcher.next()
        waited = prefetcher.seconds_waited
        assert waited > 0.2
        time.sleep(0.2)
        prefetcher.next()
        # What was ready costs nothing.
        assert prefetcher.seconds_waited - waited < 0.1


def test_datasets_that_are_not_visited_keep_their_position() -> None:
    visits = [["ones"], ["threes"], ["ones"], ["ones", "threes"]]
    with Prefetcher(DATASETS, {"ones": 0, "threes": 0}, visits=visits) as prefetcher:
        assert prefetcher.next() == ({"ones": 0}, {"ones": 1, "threes": 0})
        assert prefetcher.next() == ({"threes": 0}, {"ones": 1, "threes": 3})
        assert prefetcher.next() == ({"ones": 1}, {"ones": 2, "threes": 3})
        assert prefetcher.next() == ({"ones": 2, "threes": 3}, {"ones": 3, "threes": 6})
