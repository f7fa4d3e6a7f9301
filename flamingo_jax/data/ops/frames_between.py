"""The part of a video between two moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from flamingo_jax.data.ops.sample_frames import TOLERANCE

Frame = TypeVar("Frame")


def frames_between(
    timed_frames: Iterable[tuple[float, Frame]], start: float, end: float, patience: float
) -> Iterator[tuple[float, Frame]]:
    """The frames that are shown between two moments.

    Args:
        timed_frames: (time in seconds, frame), times rising. Frames from `end` on are asked for
            once at most.
        start: when the part begins; the frame that is being shown then is its first one, with this
            time. A video that has not begun yet at that moment shows its own first frame first.
        end: when it is over. It has a first frame even if that is `start`.
        patience: for how many seconds the last frame of all is taken to be shown.

    Yields:
        (time, frame); nothing where the video is over before the part begins.
    """
    before: tuple[float, Frame] | None = None
    has_begun = False
    for time, frame in timed_frames:
        if not has_begun and time <= start + TOLERANCE:
            before = time, frame
            continue
        if before is not None:
            yield start, before[1]
            before, has_begun = None, True
        if has_begun and time + TOLERANCE >= end:
            return
        yield time, frame
        has_begun = True
    if before is not None and start <= before[0] + patience:
        yield start, before[1]
