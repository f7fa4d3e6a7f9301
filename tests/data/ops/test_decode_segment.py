"""Frames of a part of a video file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedVideo
from flamingo_jax.data.ops import decode_video
from flamingo_jax.data.ops.decode import decode
from tests.data.video_files import numbers_of, write_video

KINDS = [
    ("mp4", "libx264"), ("mp4", "mpeg4"), ("mov", "mpeg4"), ("webm", "libvpx"),
    ("matroska", "libx264"), ("avi", "mpeg4"), ("avi", "libx264"),
]  # fmt: skip


def shown(data: bytes, num_frames: int, **part: float) -> list[int]:
    video = EncodedVideo(data=data, name="videos/7.mp4")
    frames = decode(video, num_frames, 64, 1.0, **part)
    assert frames.shape == (num_frames, 64, 64, 3) and frames.dtype == np.uint8
    return numbers_of(frames)


@pytest.mark.parametrize(("container", "codec"), KINDS)
def test_a_part_begins_and_ends_at_its_seconds(container: str, codec: str) -> None:
    data = write_video(container, codec, num_frames=200, rate=10)
    assert shown(data, 5, start_seconds=13) == [130, 140, 150, 160, 170]
    assert shown(data, 5, start_seconds=13.05, end_seconds=15.5) == [130, 140, 150, 154, 154]
    assert shown(data, 3, end_seconds=1.5) == [0, 10, 14]
    assert shown(data, 2, start_seconds=5, end_seconds=5) == [50, 50]
    assert shown(data, 2, start_seconds=19, end_seconds=40) == [190, 199]


@pytest.mark.parametrize(("container", "codec"), KINDS)
def test_every_start_is_hit(container: str, codec: str) -> None:
    data = write_video(container, codec, num_frames=60, rate=10)
    for number in range(0, 60, 7):
        assert shown(data, 1, start_seconds=number / 10) == [number]


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_times_count_from_the_first_frame(container: str) -> None:
    times = tuple(7.3 + number / 10 for number in range(100))
    data = write_video(container, "mpeg4", num_frames=100, times=times)
    assert shown(data, 3, start_seconds=4) == [40, 50, 60]
    assert shown(data, 3, start_seconds=4, end_seconds=5.2) == [40, 50, 51]


def test_what_lies_long_before_a_part_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[float] = []
    between = decode_video.frames_between

    def counting(timed: Iterator[tuple[float, Any]], *part: float, **rest: float) -> Any:
        def counted() -> Iterator[tuple[float, Any]]:
            for time, frame in timed:
                decoded.append(time)
                yield time, frame

        return between(counted(), *part, **rest)

    monkeypatch.setattr(decode_video, "frames_between", counting)
    data = write_video("mp4", "mpeg4", num_frames=250, rate=10)
    assert shown(data, 3, start_seconds=13, end_seconds=16) == [130, 140, 150]
    assert min(decoded) > 9 and max(decoded) < 17


@pytest.mark.parametrize(("container", "codec"), KINDS)
def test_a_part_after_the_end_is_refused(container: str, codec: str) -> None:
    data = write_video(container, codec, num_frames=30, rate=10)
    with pytest.raises(BadSample, match=r"videos/7.mp4.*no frame in it after 5 s") as raised:
        shown(data, 3, start_seconds=5, end_seconds=8)
    assert raised.value.reason is Reason.UNREADABLE_VIDEO


def test_a_part_that_is_cut_off_is_refused() -> None:
    whole = write_video("webm", "libvpx", num_frames=200, rate=10)
    half = whole[: len(whole) // 2]
    assert shown(half, 2, start_seconds=2, end_seconds=4) == [20, 30]
    with pytest.raises(BadSample, match=r"cut off|no frame"):
        shown(half, 8, start_seconds=5, end_seconds=13)
