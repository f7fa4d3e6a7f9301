"""A fetched file to the JPEG that is kept: checked, upright, shrunk, its own metadata gone."""

from __future__ import annotations

import io

import numpy as np

from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.ops import fit
from flamingo_jax.data.ops.decode_image import decode_image
from flamingo_jax.preparation.picture_header import read_header

_QUALITY = 90


def kept_jpeg(image: EncodedImage, max_side: int) -> bytes:
    """The picture as it is kept.

    Args:
        image: the file as it came.
        max_side: the longer side of the result at most; smaller pictures are not enlarged. The
            pipeline fits the longer side into its square, so nothing is lost if `max_side` is the
            vision encoder's `image_size`.

    Returns:
        A JPEG file, RGB, the aspect ratio kept.

    Raises:
        BadSample: as `decode_image` does.
    """
    from PIL import Image  # The embedded world needs no Pillow.

    square_HWC = decode_image(image, max_side)
    width, height = read_header(image).upright_size
    size = min(max_side, max(width, height))
    if size < max_side:
        square_HWC = decode_image(image, size)  # The first one is enlarged.
    # The decoder puts the picture into the middle of a square.
    width, height = fit.fitted_size(width, height, size)
    left, top = (size - width) // 2, (size - height) // 2
    picture_HWC = np.ascontiguousarray(square_HWC[top : top + height, left : left + width])
    file = io.BytesIO()
    Image.fromarray(picture_HWC).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
