"""How large a picture is in its file, as people see it."""

from __future__ import annotations

import io

from flamingo_jax.data.media import EncodedImage

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
"""What `decode_image` reads; Pillow would try all it knows, with other programs' help."""

_ORIENTATION = 0x0112
_TURNED_ORIENTATIONS = (5, 6, 7, 8)
"""EXIF values with which width and height are exchanged."""


def upright_size(image: EncodedImage) -> tuple[int, int]:
    """Width and height in pixels, after the turn that the camera asks for.

    Args:
        image: a file that `decode_image` has decoded without an error.
    """
    from PIL import Image  # The embedded world needs no Pillow.

    with Image.open(io.BytesIO(image.data), formats=_FORMATS) as opened:
        width, height = opened.size
        if "exif" not in opened.info:
            return width, height
        try:
            orientation = opened.getexif().get(_ORIENTATION)
        except Exception:  # Broken EXIF data says nothing about the pixels.
            return width, height
    return (height, width) if orientation in _TURNED_ORIENTATIONS else (width, height)
