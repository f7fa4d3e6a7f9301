"""The part of a video between two moments."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from flamingo_jax.data.ops.frames_between import frames_between


def numbers(start: float, end: float, rate: float = 10, num_frames: int = 100) -> list[int]:
    timed = [(number / rate, number) for number in range(num_frames)]
    return [number for _, number in frames_between(timed, start, end, patience=0.5)]


def test_a_part_begins_with_the_frame_shown_at_its_start_and_ends_before_its_end() -> None:
    assert numbers(2.0, 2.3) == [20, 21, 22]
    # At 2.05 s frame 20 is being shown still; at 2.25 s, frame 22.
    assert numbers(2.05, 2.25) == [20, 21, 22]


def test_the_first_frame_of_a_part_has_the_time_of_its_start() -> None:
    timed = [(0.0, "a"), (1.0, "b"), (2.0, "c")]
    assert list(frames_between(timed, 0.5, 3.0, 0.1)) == [(0.5, "a"), (1.0, "b"), (2.0, "c")]


def test_a_part_without_end_goes_on_to_the_last_frame() -> None:
    assert numbers(9.7, math.inf) == [97, 98, 99]


def test_a_part_of_no_length_is_one_frame() -> None:
    assert numbers(3.0, 3.0) == [30]


@pytest.mark.parametrize(("start", "expected"), [(9.9, [99]), (10.3, [99]), (10.5, []), (60.0, [])])
def test_the_last_frame_is_shown_for_a_while(start: float, expected: list[int]) -> None:
    assert numbers(start, start + 5) == expected


def test_a_video_that_begins_later_shows_its_first_frame() -> None:
    assert list(frames_between([(1.0, "a"), (2.0, "b")], 0.0, 2.0, 0.1)) == [(1.0, "a")]
    assert list(frames_between([(1.0, "a"), (2.0, "b")], 0.0, 0.5, 0.1)) == [(1.0, "a")]


def test_times_rounded_to_milliseconds_lose_no_frame() -> None:
    timed = [(round(number / 30, 3), number) for number in range(300)]
    found = [number for _, number in frames_between(timed, 5 / 3, 7 / 3, 0.1)]
    assert found == list(range(50, 70))


def test_frames_after_the_part_are_not_asked_for() -> None:
    def frames() -> Iterator[tuple[float, int]]:
        for number in range(100):
            assert number <= 13
            yield number / 10, number

    assert [n for _, n in frames_between(frames(), 1.0, 1.3, 0.1)] == [10, 11, 12]
