"""What a picture's file says of its size, before it is decoded."""

from __future__ import annotations

import dataclasses
import io
import warnings
from typing import TYPE_CHECKING

from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.ops.decode_image import MAX_PIXELS, decode_image

if TYPE_CHECKING:
    from PIL import Image

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
"""What `decode_image` reads. Pillow would try all it knows, with other programs' help."""

_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Header:
    """What a picture's file says of it before it is decoded.

    Attributes:
        width: of the stored pixels.
        height: of the stored pixels.
        is_turned: whether EXIF says that the two are exchanged when it is shown.
    """

    width: int
    height: int
    is_turned: bool

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height as people see the picture, after the turn that the camera asks for."""
        return (self.height, self.width) if self.is_turned else (self.width, self.height)


def read_header(image: EncodedImage) -> Header:
    """Reads the size of a picture, without decoding it.

    Raises:
        BadSample: the training pipeline could not read it either; the reason is the one it gives.
    """
    # Loaded here, as in `decode_image`: the embedded world needs no Pillow.
    from PIL import Image

    try:
        with warnings.catch_warnings():
            # Pillow warns of large pictures, which are refused below.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(image.data), formats=_FORMATS) as opened:
                header = Header(
                    width=opened.width, height=opened.height, is_turned=_is_turned(opened)
                )
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise whatever damaged bytes lead to.
        decode_image(image, 1)  # Knows what is wrong.
        raise BadSample(Reason.NOT_AN_IMAGE, image.name, str(error)) from error
    if header.width * header.height > MAX_PIXELS:
        raise BadSample(Reason.IMAGE_TOO_LARGE, image.name)
    return header


def _is_turned(opened: Image.Image) -> bool:
    try:
        return "exif" in opened.info and opened.getexif().get(_ORIENTATION, 1) in _TURNED
    except Exception:  # Broken EXIF data says nothing, to `decode_image` as well.
        return False
