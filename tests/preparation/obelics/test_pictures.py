"""The pictures that are kept: their size, their direction, and what is not kept."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.preparation.obelics import pictures


def encoded(picture: Image.Image, kind: str, **options: object) -> EncodedImage:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return EncodedImage(data=file.getvalue(), name="a")


def kept(image: EncodedImage, max_side: int) -> np.ndarray:
    with Image.open(io.BytesIO(pictures.kept_jpeg(image, max_side))) as picture:
        assert picture.format == "JPEG" and picture.mode == "RGB"
        assert not picture.getexif()
        return np.asarray(picture)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (240, 320)),
        ((480, 640), (320, 240)),
        ((100, 60), (60, 100)),
        ((320, 320), (320, 320)),
        ((4000, 3), (1, 320)),
        ((1, 1), (1, 1)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_the_longer_side_is_shrunk_and_nothing_is_enlarged(
    size: tuple[int, int], expected: tuple[int, int], kind: str
) -> None:
    assert kept(encoded(Image.new("RGB", size), kind), 320).shape == (*expected, 3)


@pytest.mark.parametrize("size", [(640, 480), (64, 48)])
@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1))])
def test_a_camera_held_sideways_is_turned_upright(
    size: tuple[int, int], orientation: int, corner: tuple[int, int]
) -> None:
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[: size[1] // 2, : size[0] // 2] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = kept(encoded(Image.fromarray(pixels), "JPEG", exif=exif), 320)
    height, width = sorted(found.shape[:2], reverse=orientation == 6)
    assert found.shape[:2] == (height, width)
    corners = {place: found[place].mean() > 128 for place in [(0, 0), (0, -1), (-1, 0), (-1, -1)]}
    assert corners == {place: place == corner for place in corners}


def test_the_same_file_gives_the_same_bytes() -> None:
    noise = np.random.default_rng(0).integers(256, size=(90, 400, 3), dtype=np.uint8)
    image = encoded(Image.fromarray(noise), "PNG")
    assert pictures.kept_jpeg(image, 320) == pictures.kept_jpeg(image, 320)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"<html>", Reason.NOT_AN_IMAGE),
        (b"\xff\xd8\xff\xe0 cut", Reason.TRUNCATED_IMAGE),
    ],
)
def test_what_is_no_picture_is_refused(data: bytes, reason: Reason) -> None:
    with pytest.raises(BadSample) as caught:
        pictures.kept_jpeg(EncodedImage(data=data, name="a"), 320)
    assert caught.value.reason is reason


def test_a_jpeg_of_two_pictures_is_its_first_one() -> None:
    first, second = Image.new("RGB", (40, 30)), Image.new("RGB", (50, 60))
    image = encoded(first, "MPO", save_all=True, append_images=[second])
    assert kept(image, 320).shape == (30, 40, 3)
