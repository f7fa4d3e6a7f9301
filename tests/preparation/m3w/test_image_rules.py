"""Every picture rule just inside and just outside of its threshold, and what is written."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image

from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.ops.decode_image import decode_image
from flamingo_jax.preparation.m3w.config import M3WConfig
from flamingo_jax.preparation.m3w.image_rules import check_image
from flamingo_jax.preparation.m3w.rules import ImageRule
from tests.preparation.m3w.pictures import decoded, encoded, picture, pixels

CONFIG = M3WConfig()


def _check(data: bytes, config: M3WConfig = CONFIG) -> bytes | ImageRule:
    return check_image(EncodedImage(data=data, name="a.jpg"), config)


@pytest.mark.parametrize(
    ("width", "height", "rule"),
    [
        (64, 64, None),
        (63, 64, ImageRule.TOO_SMALL),
        (64, 63, ImageRule.TOO_SMALL),
        (192, 64, None),
        (64, 192, None),
        (193, 64, ImageRule.ASPECT_RATIO),
        (64, 193, ImageRule.ASPECT_RATIO),
        (1, 1, ImageRule.TOO_SMALL),
    ],
)
def test_sizes(width: int, height: int, rule: ImageRule | None) -> None:
    data = picture(width, height)
    assert _check(data) == (rule or data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_single_colours(kind: str) -> None:
    plain = np.full((64, 64, 3), (200, 30, 60), np.uint8)
    assert _check(encoded(plain, kind)) is ImageRule.SINGLE_COLOUR
    if kind == "JPEG":
        return
    # One pixel, one channel: by 8 levels, and by 9.
    plain[5, 5, 1] += 8
    assert _check(encoded(plain, kind)) is ImageRule.SINGLE_COLOUR
    plain[5, 5, 1] += 1
    assert isinstance(_check(encoded(plain, kind)), bytes)


def test_files_that_cannot_be_decoded_have_the_reasons_of_training() -> None:
    whole = picture(200, 200)
    assert _check(b"") is ImageRule.EMPTY_FILE
    assert _check(b"<html>not found</html>") is ImageRule.NOT_AN_IMAGE
    assert _check(whole[: len(whole) // 2]) is ImageRule.TRUNCATED_IMAGE
    assert _check(whole[:20]) is ImageRule.TRUNCATED_IMAGE
    assert _check(picture(kind="PNG")[:-40]) is ImageRule.TRUNCATED_IMAGE
    assert _check(picture(kind="ICO")) is ImageRule.NOT_AN_IMAGE
    huge = bytearray(picture(kind="BMP"))
    huge[18:26] = (20_000).to_bytes(4, "little") * 2
    assert _check(bytes(huge)) is ImageRule.IMAGE_TOO_LARGE
    huge[18:26] = (10_000).to_bytes(4, "little") * 2
    assert _check(bytes(huge)) is ImageRule.IMAGE_TOO_LARGE


def test_large_files_are_not_read() -> None:
    data = picture()
    assert _check(data, dataclasses.replace(CONFIG, max_image_bytes=len(data))) == data
    config = dataclasses.replace(CONFIG, max_image_bytes=len(data) - 1)
    assert _check(data, config) is ImageRule.IMAGE_TOO_LARGE


def test_a_jpeg_that_is_small_enough_stays_as_it_is() -> None:
    data = picture(100, 80)
    assert _check(data, dataclasses.replace(CONFIG, max_image_side=100)) is data
    assert _check(data, dataclasses.replace(CONFIG, max_image_side=0)) is data


def test_larger_pictures_are_shrunk() -> None:
    kept = _check(picture(100, 80), dataclasses.replace(CONFIG, max_image_side=50))
    assert isinstance(kept, bytes)
    found = decoded(kept)
    assert found.shape == (40, 50, 3)
    assert np.abs(found.astype(int) - pixels(50, 40)).mean() < 6
    assert kept == _check(picture(100, 80), dataclasses.replace(CONFIG, max_image_side=50))


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_other_kinds_become_jpeg(kind: str) -> None:
    kept = _check(picture(100, 80, kind=kind))
    assert isinstance(kept, bytes) and kept.startswith(b"\xff\xd8\xff")
    assert np.abs(decoded(kept).astype(int) - decoded(picture(100, 80, kind=kind))).mean() < 6


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_shrunk_pictures_are_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(pixels(100, 80), exif=exif)
    kept = _check(data, dataclasses.replace(CONFIG, max_image_side=99))
    assert isinstance(kept, bytes)
    # What training sees is the same, whether the picture was prepared or not.
    before, after = (
        decode_image(EncodedImage(data=file, name="a.jpg"), 64).astype(int) for file in (data, kept)
    )
    assert np.abs(before - after).mean() < 4
    assert decoded(kept).shape[:2] == ((99, 79) if orientation > 4 else (79, 99))


def test_transparent_pixels_look_as_in_training() -> None:
    array = np.zeros((80, 80, 4), np.uint8)
    array[20:60, 20:60] = (250, 0, 0, 255)
    kept = _check(encoded(array, "PNG"))
    assert isinstance(kept, bytes)
    before = decode_image(EncodedImage(data=encoded(array, "PNG"), name="a.png"), 80)
    assert np.abs(before.astype(int) - decoded(kept)).mean() < 4
