"""Sizes by a picture's header, against the picture that the camera's turn makes of it."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageOps

from flamingo_jax.data.bad_samples import BadSample
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.preparation.picture_header import Header, read_header

_ORIENTATION = 0x0112


def _picture(kind: str, orientation: int | None = None) -> bytes:
    exif = Image.Exif()
    if orientation is not None:
        exif[_ORIENTATION] = orientation
    file = io.BytesIO()
    Image.new("RGB", (30, 20)).save(file, kind, **({"exif": exif} if orientation else {}))
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_the_upright_size_is_that_of_the_turned_picture(kind: str, orientation: int | None) -> None:
    data = _picture(kind, orientation)
    header = read_header(EncodedImage(data=data, name="a"))
    assert (header.width, header.height) == (30, 20)
    turned = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert header.upright_size == turned.size


def test_a_size_is_known_where_the_pixels_are_cut_off() -> None:
    data = _picture("JPEG")
    header = read_header(EncodedImage(data=data[:-10], name="a"))
    assert header == Header(width=30, height=20, is_turned=False)


@pytest.mark.parametrize(("data", "reason"), [(b"", "empty"), (b"no picture", "not_an_image")])
def test_what_is_no_picture_has_the_decoder_s_reason(data: bytes, reason: str) -> None:
    with pytest.raises(BadSample) as caught:
        read_header(EncodedImage(data=data, name="a"))
    assert reason in caught.value.reason.value
