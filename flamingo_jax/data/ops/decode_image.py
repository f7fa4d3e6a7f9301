"""Image files to pixels: decoded with Pillow, turned upright, shrunk and put into a square.

The first bytes of a file decide what it is, not its name, and only the readers below are ever
tried: no plugin that calls another program. Nothing global in Pillow is read or changed, so that
threads decode side by side; Pillow itself lets other threads run while it decodes and resizes.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.ops import fit

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

MAX_PIXELS = 89_478_485
"""Pictures of more are refused by their header alone: a quarter GiB in RGB, as Pillow warns of."""

_ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held."""

_REDUCING_GAP = 2.0
"""Large pictures are first averaged over blocks down to this multiple of the final size."""


def decode_image(image: EncodedImage, size: int) -> np.ndarray:
    """Decodes an image file: JPEG, PNG, WebP, GIF, BMP or TIFF.

    The whole picture is fitted into a square (see `fit`), a small one enlarged. EXIF orientation
    is applied. Of an animation this is the first frame. Transparent pixels show `fit.MEAN_COLOUR`
    behind them, like the padding. Grey values of 16 bits are divided by 257; colour profiles are
    not applied.

    Args:
        image: the file.
        size: height and width of the result, in pixels.

    Returns:
        uint8 [size, size, 3], RGB.

    Raises:
        BadSample: EMPTY_FILE; NOT_AN_IMAGE (none of these kinds, or numbers that have no agreed
            range); TRUNCATED_IMAGE (cut off or damaged); IMAGE_TOO_LARGE (over `MAX_PIXELS`).
    """
    opened = _open(image)
    width, height = opened.size
    if width * height > MAX_PIXELS:
        raise BadSample(
            Reason.IMAGE_TOO_LARGE, image.name, f"{width} x {height}, {MAX_PIXELS} pixels at most"
        )
    try:
        return fit.pad_to_square(_fitted(opened, size, image.name), size)
    except (MemoryError, BadSample):
        raise
    except Exception as error:  # Pillow's decoders raise whatever damaged bytes lead to.
        raise BadSample(Reason.TRUNCATED_IMAGE, image.name, str(error)) from error


def _open(image: EncodedImage) -> ImageFile:
    """Reads the header."""
    # `Image.open` would try the readers of all plugins that any code has loaded, and warn of large
    # pictures by itself. Plugins are loaded here because the embedded world needs none.
    from PIL.BmpImagePlugin import BmpImageFile
    from PIL.GifImagePlugin import GifImageFile
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile
    from PIL.TiffImagePlugin import TiffImageFile
    from PIL.WebPImagePlugin import WebPImageFile

    data = image.data
    if not data:
        raise BadSample(Reason.EMPTY_FILE, image.name)
    reader: type[ImageFile]
    if data.startswith(b"\xff\xd8\xff"):
        reader = JpegImageFile
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        reader = PngImageFile
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        reader = WebPImageFile
    elif data.startswith((b"GIF87a", b"GIF89a")):
        reader = GifImageFile
    elif data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        reader = TiffImageFile
    elif data.startswith(b"BM"):
        reader = BmpImageFile
    else:
        raise BadSample(Reason.NOT_AN_IMAGE, image.name, f"it begins with {data[:16]!r}")
    try:
        return reader(io.BytesIO(data))
    except MemoryError:
        raise
    except Exception as error:  # As above.
        raise BadSample(Reason.TRUNCATED_IMAGE, image.name, str(error)) from error


def _fitted(opened: ImageFile, size: int, name: str) -> np.ndarray:
    """The upright picture, its longer side `size`: uint8 [H, W, 3]."""
    from PIL import Image

    orientation = _orientation(opened)
    width, height = fit.fitted_size(*opened.size, size)
    if opened.format == "JPEG":
        # The decoder leaves out the fine detail that shrinking would average away: by 2, 4 or 8,
        # and never below the final size.
        opened.draft("RGB", (width, height))
    picture = _in_colour(opened, name)
    if picture.size != (width, height):
        picture = picture.resize(
            (width, height), Image.Resampling.BILINEAR, reducing_gap=_REDUCING_GAP
        )
    if picture.mode == "RGBA":
        behind = Image.new("RGBA", picture.size, fit.MEAN_COLOUR)
        picture = Image.alpha_composite(behind, picture).convert("RGB")
    turn = _turns().get(orientation)
    if turn is not None:
        picture = picture.transpose(turn)
    return np.asarray(picture)


def _orientation(opened: ImageFile) -> int:
    """The EXIF orientation, 1 (upright) if the file has none or one that cannot be read."""
    if "exif" not in opened.info:
        return 1
    try:
        return opened.getexif().get(_ORIENTATION, 1)
    except Exception:  # Broken EXIF data says nothing about the pixels.
        return 1


def _turns() -> dict[int, Image.Transpose]:
    """What turns a picture upright, by EXIF orientation."""
    from PIL.Image import Transpose

    return {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }


def _in_colour(opened: ImageFile, name: str) -> Image.Image:
    """Decodes the pixels: mode RGB, or RGBA where some are transparent."""
    opened.load()
    mode = opened.mode
    if mode == "RGB" and "transparency" not in opened.info:
        return opened
    if mode == "F":
        raise BadSample(Reason.NOT_AN_IMAGE, name, "floating-point pixels have no agreed range")
    if mode.startswith("I"):
        return _grey_of_16_bits(opened).convert("RGB")
    return opened.convert("RGBA" if opened.has_transparency_data else "RGB")


def _grey_of_16_bits(opened: ImageFile) -> Image.Image:
    """Grey values 0 to 65535 as 0 to 255; larger ones are white."""
    from PIL import Image

    grey_HW = np.asarray(opened).astype(np.float32) / 257.0
    return Image.fromarray(np.rint(grey_HW.clip(0, 255)).astype(np.uint8))
