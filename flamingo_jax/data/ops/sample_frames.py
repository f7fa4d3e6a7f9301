"""Which frames of a clip are taken: those shown at evenly spaced moments from its start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

Frame = TypeVar("Frame")

TOLERANCE = 1e-3
"""Seconds. Containers round times (WebM and Matroska to milliseconds), so that a frame of 2/3 s may
be written as 0.667 s and must not be missed for that."""


def sample_frames(
    timed_frames: Iterable[tuple[float, Frame]], num_frames: int, frames_per_second: float
) -> Iterator[Frame]:
    """Takes the frame that is being shown k / frames_per_second after the first one, for k from 0.

    A clip that is over before the last moment shows its last frame from then on. Of a longer one
    this is the beginning, and the frames after it are not even asked for, so they need not be
    decoded.

    Args:
        timed_frames: (time in seconds, frame), times rising; may start at any time, and need not
            be evenly spaced.
        num_frames: how many to take, at least 1.
        frames_per_second: of the taken ones, above 0.

    Yields:
        `num_frames` frames, some of them several times where the clip has fewer; none if
        `timed_frames` has none.
    """
    iterator = iter(timed_frames)
    first = next(iterator, None)
    if first is None:
        return
    start, shown = first
    num_taken = 0
    for time, frame in iterator:
        # What was shown until now was there at all moments before this frame.
        while num_taken / frames_per_second + TOLERANCE < time - start:
            yield shown
            num_taken += 1
            if num_taken == num_frames:
                return
        shown = frame
    for _ in range(num_frames - num_taken):
        yield shown
