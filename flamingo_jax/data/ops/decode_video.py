"""Video files to frames: decoded with FFmpeg's libraries through PyAV, only as far as needed."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedVideo
from flamingo_jax.data.ops import fit
from flamingo_jax.data.ops.decode_image import MAX_PIXELS
from flamingo_jax.data.ops.frames_between import frames_between
from flamingo_jax.data.ops.sample_frames import sample_frames

if TYPE_CHECKING:
    from fractions import Fraction

    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Other kinds of files that FFmpeg knows are lists of further files or addresses (HLS, concat),
# which a data set must not be able to name.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi"

_QUARTER_TURN = 90
"""Degrees."""

_CONTAINER_TIME_BASE = 1_000_000
"""Units of a file's duration in a second (AV_TIME_BASE)."""

_EARLIER = 1.0
"""Seconds. Files are indexed by the times of decoding, a little before those of showing."""


def decode_video(
    video: EncodedVideo,
    num_frames: int,
    size: int,
    frames_per_second: float,
    start_seconds: float = 0.0,
    end_seconds: float = math.inf,
) -> np.ndarray:
    """Decodes the beginning of a video file, or of a part: MP4, MOV, WebM, Matroska or AVI.

    Frames are the ones shown at k / frames_per_second by their own times, so a rate that varies
    does not matter; the last one is repeated where the clip is too short (see `sample_frames`).
    Each is turned upright, its pixels made square, and fitted into a square (see `fit`).

    Args:
        video: the file.
        num_frames: how many frames to take (F).
        size: height and width of the result, in pixels.
        frames_per_second: of the frames taken.
        start_seconds: where the part begins that frames are taken of.
        end_seconds: where it ends.

    Returns:
        uint8 [num_frames, size, size, 3], RGB.

    Raises:
        BadSample: EMPTY_FILE; IMAGE_TOO_LARGE (frames over `decode_image.MAX_PIXELS`);
            UNREADABLE_VIDEO (none of these kinds, without a picture, cut off or damaged before the
            last frame that is needed, or over before the part begins).
    """
    # FFmpeg's libraries are loaded here because most runs read no video.
    import av
    from av.error import FFmpegError

    if not video.data:
        raise BadSample(Reason.EMPTY_FILE, video.name)
    frames_FHWC = np.empty((num_frames, size, size, 3), np.uint8)
    num_done, last = 0, None
    try:
        container_options = {"format_whitelist": _CONTAINERS}
        with av.open(io.BytesIO(video.data), "r", options=container_options) as container:
            interval = 1.0 / frames_per_second
            timed = _timed_frames(container, video.name, interval, start_seconds)
            if start_seconds > 0 or end_seconds < math.inf:
                timed = frames_between(timed, start_seconds, end_seconds, patience=interval)
            for frame in sample_frames(timed, num_frames, frames_per_second):
                if frame is last:
                    frames_FHWC[num_done] = frames_FHWC[num_done - 1]
                else:
                    frames_FHWC[num_done] = _fitted(container, frame, size)
                num_done, last = num_done + 1, frame
    except FFmpegError as error:
        # Its lack of memory is among these: damaged files claim sizes that nobody has.
        raise BadSample(Reason.UNREADABLE_VIDEO, video.name, str(error)) from error
    except (MemoryError, BadSample):
        raise
    except Exception as error:  # PyAV raises whatever odd streams lead to.
        raise BadSample(Reason.UNREADABLE_VIDEO, video.name, str(error)) from error
    if last is None:
        after = f" after {start_seconds:g} s" if start_seconds > 0 else ""
        raise BadSample(Reason.UNREADABLE_VIDEO, video.name, f"no frame in it{after}")
    return frames_FHWC


def _timed_frames(
    container: InputContainer, name: str, interval: float, start_seconds: float
) -> Iterator[tuple[float, VideoFrame]]:
    """The frames with their times in seconds from the first, decoded as they are asked for.

    What lies before `start_seconds` is left out as far as the file allows to jump over it.

    Raises:
        BadSample: there is no picture, it is too large or damaged, or the frames end more than
            `interval` seconds before the file says: it is cut off.
    """
    if not container.streams.video:
        raise BadSample(Reason.UNREADABLE_VIDEO, name, "no picture in it")
    stream = container.streams.video[0]
    context = stream.codec_context
    if context.width * context.height > MAX_PIXELS:
        raise BadSample(
            Reason.IMAGE_TOO_LARGE,
            name,
            f"{context.width} x {context.height}, {MAX_PIXELS} pixels at most",
        )
    # Frames may be larger than the header says: the decoder knows the limit as well.
    context.options = {"max_pixels": str(MAX_PIXELS)}
    # Clips are decoded side by side in the threads of the pipeline already.
    context.thread_count = 1
    # Where frames depend on later ones, their times in AVI files are out of order; the rate holds.
    rate = stream.average_rate if container.format.name == "avi" else None
    first, end = None, 0.0
    if start_seconds > 0 and rate is None:
        first = _jump(container, stream, start_seconds)
    for number, frame in enumerate(container.decode(stream)):
        if frame.is_corrupt:
            raise BadSample(Reason.UNREADABLE_VIDEO, name, f"frame {number} is damaged")
        if rate:
            time = number / float(rate)
        elif frame.pts is not None:
            time = frame.time
        else:
            continue
        first = time if first is None else first
        end = time + _seconds(frame.duration, frame.time_base) - first
        yield time - first, frame
    promised = _duration(container, stream)
    if end + interval < promised:
        raise BadSample(
            Reason.UNREADABLE_VIDEO, name, f"cut off after {end:.1f} s of {promised:.1f} s"
        )


def _jump(container: InputContainer, stream: VideoStream, start_seconds: float) -> float | None:
    """Goes on at the last frame at or before a moment that decodes by itself.

    Returns:
        The time of the file's first frame; None where the file does not say: nothing was done then.
    """
    if stream.start_time is None or stream.time_base is None:
        return None
    target = stream.start_time + int(max(start_seconds - _EARLIER, 0.0) / stream.time_base)
    container.seek(target, stream=stream)
    return _seconds(stream.start_time, stream.time_base)


def _duration(container: InputContainer, stream: VideoStream) -> float:
    """Seconds of picture that the file promises, 0 if it does not say."""
    if stream.duration is not None:
        return _seconds(stream.duration, stream.time_base)
    if container.duration is not None and len(container.streams) == 1:
        # Matroska and WebM promise a duration of the whole file; sound may last longer.
        return container.duration / _CONTAINER_TIME_BASE
    return 0.0


def _seconds(units: int | None, unit: Fraction | None) -> float:
    """A duration in seconds, 0 where a file does not say."""
    return float(units * unit) if units is not None and unit is not None else 0.0


def _fitted(container: InputContainer, frame: VideoFrame, size: int) -> np.ndarray:
    """A frame, upright and in a square: uint8 [size, size, 3]."""
    from av.video.reformatter import Interpolation

    # Pixels of some formats (DV, DVD) are not square.
    aspect = container.streams.video[0].sample_aspect_ratio or 1
    width, height = fit.fitted_size(frame.width * float(aspect), frame.height, size)
    # Colour conversion and resizing in one pass; each pixel is a mean over what it covers.
    shrinks = width < frame.width and height < frame.height
    interpolation = Interpolation.AREA if shrinks else Interpolation.BILINEAR
    picture = frame.reformat(width, height, format="rgb24", interpolation=interpolation)
    upright_HWC = np.rot90(picture.to_ndarray(), k=frame.rotation // _QUARTER_TURN)
    return fit.pad_to_square(upright_HWC, size)
