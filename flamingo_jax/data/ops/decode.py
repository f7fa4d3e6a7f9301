"""Pictures and clips as sources have them to pixels of one shape."""

from __future__ import annotations

import math

import numpy as np

from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage, EncodedVideo, Media
from flamingo_jax.data.ops import decode_image, decode_video


def decode(
    media: Media,
    num_frames: int,
    size: int,
    frames_per_second: float,
    start_seconds: float = 0.0,
    end_seconds: float = math.inf,
) -> np.ndarray:
    """Decodes a picture or a clip.

    Args:
        media: an image file, a video file, or pixels, which pass as they are.
        num_frames: frames of the result (F): 1 for a picture.
        size: height and width of the result, in pixels.
        frames_per_second: at which frames are taken from a video, from its start.
        start_seconds: where in a video file the part begins that frames are taken of.
        end_seconds: where it ends.

    Returns:
        uint8 [num_frames, size, size, 3], RGB. Not to be written to.

    Raises:
        BadSample: the file cannot be decoded (see `decode_image` and `decode_video`), or is a
            still picture where a clip of several frames is wanted.
        ValueError: pixels of another shape or dtype.
    """
    if isinstance(media, EncodedImage):
        if num_frames > 1:
            raise BadSample(
                Reason.UNREADABLE_VIDEO, media.name, f"a still picture, not {num_frames} frames"
            )
        return decode_image.decode_image(media, size)[np.newaxis]
    if isinstance(media, EncodedVideo):
        return decode_video.decode_video(
            media, num_frames, size, frames_per_second, start_seconds, end_seconds
        )
    if media.dtype != np.uint8 or media.shape != (num_frames, size, size, 3):
        raise ValueError(
            f"pixels are {media.dtype} {media.shape}, not uint8 {(num_frames, size, size, 3)}"
        )
    return media
