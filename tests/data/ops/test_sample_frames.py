"""Which frames of a clip are taken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flamingo_jax.data.ops.sample_frames import sample_frames


def clip(rate: float, num_frames: int, start: float = 0.0) -> list[tuple[float, int]]:
    return [(start + number / rate, number) for number in range(num_frames)]


def test_frames_are_those_shown_at_even_moments() -> None:
    assert list(sample_frames(clip(30, 300), 8, 1)) == [0, 30, 60, 90, 120, 150, 180, 210]
    assert list(sample_frames(clip(30, 300), 30, 3)) == list(range(0, 300, 10))
    # At 2 frames a second of 25, the moments 0.5 s fall within frames 12, 37, ...
    assert list(sample_frames(clip(25, 100), 4, 2)) == [0, 12, 25, 37]


def test_a_first_frame_that_starts_late_is_moment_zero() -> None:
    assert list(sample_frames(clip(10, 100, start=7.3), 3, 2)) == [0, 5, 10]


def test_times_in_milliseconds_lose_no_frame() -> None:
    rounded = [(round(time, 3), number) for time, number in clip(30, 300)]
    assert list(sample_frames(rounded, 30, 3)) == list(range(0, 300, 10))


def test_a_clip_that_is_over_shows_its_last_frame() -> None:
    assert list(sample_frames(clip(4, 6), 5, 1)) == [0, 4, 5, 5, 5]
    assert list(sample_frames(clip(4, 1), 3, 1)) == [0, 0, 0]


def test_slow_clips_show_a_frame_several_times() -> None:
    assert list(sample_frames(clip(1, 4), 8, 2)) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_rate_that_varies_is_read_from_the_times() -> None:
    uneven = [(0.0, "a"), (0.1, "b"), (0.2, "c"), (3.5, "d"), (3.6, "e"), (9.0, "f")]
    assert list(sample_frames(uneven, 6, 1)) == ["a", "c", "c", "c", "e", "e"]


@pytest.mark.parametrize("num_frames", [1, 8])
def test_frames_after_the_last_one_needed_are_not_asked_for(num_frames: int) -> None:
    asked = []

    def frames() -> Iterator[tuple[float, int]]:
        for time, number in clip(30, 1_000_000):
            asked.append(number)
            yield time, number

    assert len(list(sample_frames(frames(), num_frames, 1))) == num_frames
    assert len(asked) == 30 * (num_frames - 1) + 2


def test_no_frames_give_none() -> None:
    assert list(sample_frames([], 8, 1)) == []
