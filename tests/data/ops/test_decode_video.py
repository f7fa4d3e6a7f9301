"""Video files: their frames by time, and what is refused."""

from __future__ import annotations

import concurrent.futures
import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedVideo
from flamingo_jax.data.ops import decode_video, fit
from tests.data.video_files import numbers_of, write_video

KINDS = [
    ("mp4", "libx264"), ("mp4", "mpeg4"), ("mov", "mpeg4"), ("webm", "libvpx"),
    ("matroska", "libx264"), ("avi", "mpeg4"), ("avi", "libx264"),
]  # fmt: skip


def decoded(
    data: bytes, num_frames: int = 8, size: int = 64, frames_per_second: float = 1.0
) -> np.ndarray:
    video = EncodedVideo(data=data, name="clips/7.mp4")
    return decode_video.decode_video(video, num_frames, size, frames_per_second)


def refusal(data: bytes, num_frames: int = 8) -> BadSample:
    with pytest.raises(BadSample) as raised:
        decoded(data, num_frames)
    assert "clips/7.mp4" in str(raised.value)
    return raised.value


@pytest.mark.parametrize(("container", "codec"), KINDS)
def test_frames_are_those_of_every_second(container: str, codec: str) -> None:
    frames = decoded(write_video(container, codec, num_frames=100, rate=10))
    assert frames.shape == (8, 64, 64, 3) and frames.dtype == np.uint8
    assert numbers_of(frames) == [0, 10, 20, 30, 40, 50, 60, 70]


@pytest.mark.parametrize("container", ["mp4", "webm"])
def test_evaluation_takes_thirty_frames_of_three_a_second(container: str) -> None:
    codec = "libvpx" if container == "webm" else "libx264"
    frames = decoded(write_video(container, codec, num_frames=250, rate=24), 30, 64, 3.0)
    assert numbers_of(frames) == list(range(0, 240, 8))


def test_one_frame_of_a_video_is_its_first() -> None:
    assert numbers_of(decoded(write_video(num_frames=5), num_frames=1)) == [0]


@pytest.mark.parametrize(("container", "codec"), KINDS)
def test_a_short_clip_shows_its_last_frame_to_the_end(container: str, codec: str) -> None:
    frames = decoded(write_video(container, codec, num_frames=25, rate=10), num_frames=5)
    assert numbers_of(frames) == [0, 10, 20, 24, 24]
    assert (frames[3] == frames[4]).all()


@pytest.mark.parametrize(("container", "codec"), [("mp4", "libx264"), ("webm", "libvpx")])
def test_frames_of_a_varying_rate_are_taken_by_their_times(container: str, codec: str) -> None:
    times = (0.0, 0.1, 0.2, 2.5, 2.6, 2.7, 5.2, 5.3)
    data = write_video(container, codec, num_frames=len(times), times=times)
    assert numbers_of(decoded(data, num_frames=6)) == [0, 2, 2, 5, 5, 5]


def test_only_what_is_needed_is_decoded() -> None:
    whole = write_video("webm", "libvpx", num_frames=200, rate=10)
    # Half of the file is enough for the first four seconds of twenty, though not for all.
    half = whole[: len(whole) // 2]
    assert numbers_of(decoded(half, num_frames=4)) == [0, 10, 20, 30]
    assert refusal(half, num_frames=20).reason is Reason.UNREADABLE_VIDEO


def test_frames_are_fitted_into_the_square() -> None:
    frames = decoded(write_video(num_frames=1, width=128, height=64), num_frames=1, size=48)
    assert (frames[0, :12] == fit.MEAN_COLOUR).all()
    assert (frames[0, 36:] == fit.MEAN_COLOUR).all()
    assert not (frames[0, 12:36] == fit.MEAN_COLOUR).all(-1).any()


def test_pixels_that_are_not_square_become_square() -> None:
    data = write_video(num_frames=1, width=128, height=128, aspect=Fraction(2, 1))
    frames = decoded(data, num_frames=1)
    assert (frames[0, :16] == fit.MEAN_COLOUR).all()
    assert not (frames[0, 16:48] == fit.MEAN_COLOUR).all(-1).any()


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_a_video_of_a_turned_camera_is_turned_upright(clockwise: int) -> None:
    data = write_video("mp4", "mpeg4", num_frames=200)
    upright = decoded(data, num_frames=20)
    # The matrix of the track's header (tkhd), which every phone writes: fixed-point numbers.
    one = 1 << 16
    straight = struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    a, b = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[clockwise]
    turned = struct.pack(">9i", a * one, b * one, 0, -b * one, a * one, 0, 0, 0, 1 << 30)
    track = data.index(b"tkhd")
    place = data.index(straight, track)
    found = decoded(data[:place] + turned + data[place + len(turned) :], num_frames=20)
    expected = np.rot90(upright, k=-clockwise // 90, axes=(1, 2))
    assert np.abs(found.astype(int) - expected).max() <= 3
    assert np.abs(found.astype(int) - upright).max() > 100


def test_colours_are_those_that_were_written() -> None:
    colours = np.asarray([[200, 40, 40], [40, 180, 60], [50, 60, 210], [120, 120, 120]])
    picture = np.repeat(np.repeat(colours[None], 64, 0), 16, 1).astype(np.uint8)
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.bit_rate = 5_000_000
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        container.mux([*stream.encode(frame), *stream.encode()])
    found = decoded(file.getvalue(), num_frames=1)[0, 32, 8::16]
    assert np.abs(found.astype(int) - colours).max() <= 10


def test_sound_alone_is_refused() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 8000), np.int16), format="s16", layout="mono"
        )
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    assert refusal(file.getvalue()).reason is Reason.UNREADABLE_VIDEO


@pytest.mark.parametrize(("container", "codec"), KINDS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_file_that_is_cut_off_is_refused(container: str, codec: str, share: float) -> None:
    data = write_video(container, codec, num_frames=100, rate=10)
    assert refusal(data[: int(len(data) * share)], 12).reason is Reason.UNREADABLE_VIDEO


@pytest.mark.parametrize("data", [b"<html>404</html>", b"\0" * 5000, b"GIF89a"])
def test_what_is_no_video_is_refused(data: bytes) -> None:
    assert refusal(data).reason is Reason.UNREADABLE_VIDEO


def test_an_empty_file_is_refused_as_one() -> None:
    assert refusal(b"").reason is Reason.EMPTY_FILE


@pytest.mark.parametrize("kind", ["concat", "hls"])
def test_a_list_that_names_other_files_is_not_followed(kind: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(write_video(num_frames=30))
    if kind == "concat":
        data = f"ffconcat version 1.0\nfile {secret}\n".encode()
    else:
        data = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nfile://{secret}\n".encode()
    assert refusal(data).reason is Reason.UNREADABLE_VIDEO


def test_frames_that_are_too_large_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_video(num_frames=3, width=128, height=64)
    monkeypatch.setattr(decode_video, "MAX_PIXELS", 128 * 64)
    assert decoded(data, num_frames=1).shape == (1, 64, 64, 3)
    monkeypatch.setattr(decode_video, "MAX_PIXELS", 128 * 64 - 1)
    assert refusal(data).reason is Reason.IMAGE_TOO_LARGE


def test_damaged_bytes_never_raise_anything_else() -> None:
    random = np.random.default_rng(0)
    refused = 0
    for container, codec in KINDS:
        data = np.frombuffer(write_video(container, codec, num_frames=20), np.uint8)
        for _ in range(15):
            damaged = data.copy()
            places = random.integers(0, len(data), 10)
            damaged[places] = random.integers(0, 256, 10)
            try:
                assert decoded(damaged.tobytes(), 3).shape == (3, 64, 64, 3)
            except BadSample:
                refused += 1
    assert refused > 10


def test_threads_get_the_same_frames_as_one_alone() -> None:
    files = [write_video(container, codec, num_frames=40) for container, codec in KINDS] * 3
    alone = [decoded(data) for data in files]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        together = list(threads.map(decoded, files))
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))
