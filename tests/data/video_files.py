"""Writes tiny video files whose frames say in their pixels which frame they are."""

from __future__ import annotations

import functools
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

NUM_BITS = 8
_DARK, _LIGHT = 40, 215


@functools.cache
def write_video(
    container: str = "mp4",
    codec: str = "libx264",
    num_frames: int = 30,
    rate: int = 10,
    width: int = 128,
    height: int = 64,
    times: tuple[float, ...] | None = None,
    aspect: Fraction | None = None,
) -> bytes:
    """A video file.

    Args:
        container: "mp4", "webm", "avi", ... as FFmpeg calls it.
        codec: "libx264", "mpeg4", "libvpx", ...
        num_frames: how many; frame n shows n in binary: `NUM_BITS` columns, the first one the
            highest bit, light for 1, and a dark lower half.
        rate: frames a second.
        width: of the stored frames.
        height: of the stored frames.
        times: of the frames, in seconds; by default evenly spaced.
        aspect: width of a pixel over its height.

    Returns:
        The whole file.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video"
        with av.open(str(path), "w", format=container) as file:
            stream = file.add_stream(codec, rate=rate)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.bit_rate = 2_000_000
            if codec == "libvpx":
                stream.options = {"deadline": "realtime", "cpu-used": "8"}
            if aspect is not None:
                stream.codec_context.sample_aspect_ratio = aspect
            if times is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            for number in range(num_frames):
                frame = av.VideoFrame.from_ndarray(_drawn(number, width, height), format="rgb24")
                if times is not None:
                    frame.time_base = Fraction(1, 1000)
                    frame.pts = round(1000 * times[number])
                file.mux(stream.encode(frame))
            file.mux(stream.encode())
        return path.read_bytes()


def _drawn(number: int, width: int, height: int) -> np.ndarray:
    bits = np.asarray([(number >> place) & 1 for place in reversed(range(NUM_BITS))])
    frame = np.full((height, width, 3), _DARK, np.uint8)
    frame[: height // 2] = np.where(bits, _LIGHT, _DARK).repeat(width // NUM_BITS)[:, None]
    return frame


def numbers_of(frames_FHWC: np.ndarray) -> list[int]:
    """The number that each decoded frame, twice as wide as high in its square, shows."""
    size = frames_FHWC.shape[1]
    row_FW = frames_FHWC[:, size * 3 // 8].mean(-1)
    columns = (np.arange(NUM_BITS) * 2 + 1) * size // (2 * NUM_BITS)
    bits = row_FW[:, columns] > (_DARK + _LIGHT) / 2
    return [int(number) for number in bits @ (1 << np.arange(NUM_BITS)[::-1])]
