"""One way to pixels for all that a source may hold."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage, EncodedVideo
from flamingo_jax.data.ops.decode import decode
from tests.data.video_files import numbers_of, write_video


def image() -> EncodedImage:
    file = io.BytesIO()
    Image.new("RGB", (40, 20), (200, 100, 50)).save(file, "PNG")
    return EncodedImage(data=file.getvalue(), name="7.png")


def test_an_image_file_is_one_frame() -> None:
    frames = decode(image(), 1, 16, 1.0)
    assert frames.shape == (1, 16, 16, 3)
    assert tuple(frames[0, 8, 8]) == (200, 100, 50)


def test_a_video_file_is_several() -> None:
    video = EncodedVideo(data=write_video(num_frames=40, rate=10), name="7.mp4")
    assert numbers_of(decode(video, 4, 64, 2.0)) == [0, 5, 10, 15]


def test_pixels_of_the_right_shape_pass_as_they_are() -> None:
    pixels = np.zeros((2, 16, 16, 3), np.uint8)
    assert decode(pixels, 2, 16, 1.0) is pixels


@pytest.mark.parametrize(
    "pixels", [np.zeros((1, 16, 16, 3), np.uint8), np.zeros((2, 16, 16, 3), np.float32)]
)
def test_pixels_of_another_shape_or_dtype_are_an_error_of_the_source(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"not uint8 \(2, 16, 16, 3\)"):
        decode(pixels, 2, 16, 1.0)


def test_a_still_picture_is_no_clip() -> None:
    with pytest.raises(BadSample, match=r"7\.png: unreadable_video \(a still picture") as raised:
        decode(image(), 8, 16, 1.0)
    assert raised.value.reason is Reason.UNREADABLE_VIDEO
