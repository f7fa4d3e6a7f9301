"""Whether a picture is kept, and the JPEG file it is written as.

The rules are those of the paper's appendix A.3.1: no side under 64 pixels, no side more than three
times the other, nothing "obviously bad", such as a single colour. What a picture looks like is what
the training pipeline will see: decoded by the same code, with the same reasons if that fails.
"""

from __future__ import annotations

import io

import numpy as np

from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.ops import fit
from flamingo_jax.data.ops.decode_image import decode_image
from flamingo_jax.preparation.m3w.config import M3WConfig
from flamingo_jax.preparation.m3w.rules import ImageRule
from flamingo_jax.preparation.picture_header import Header, read_header

_JPEG = "JPEG"
_JPEG_START = b"\xff\xd8\xff"


def check_image(image: EncodedImage, config: M3WConfig) -> bytes | ImageRule:
    """The file that a picture is kept as, or the first rule that it breaks.

    Args:
        image: as it was found.
        config: the thresholds.

    Returns:
        A JPEG file: the picture's own if it is one and no larger than `config.max_image_side`,
        otherwise one made from its pixels.
    """
    if len(image.data) > config.max_image_bytes:
        return ImageRule.IMAGE_TOO_LARGE
    try:
        header = read_header(image)
        longer = max(header.width, header.height)
        shorter = min(header.width, header.height)
        if shorter < config.min_image_side:
            return ImageRule.TOO_SMALL
        if longer > config.max_aspect_ratio * shorter:
            return ImageRule.ASPECT_RATIO
        size = min(longer, config.max_image_side) if config.max_image_side else longer
        picture_HWC = upright(image, header, size)
    except BadSample as bad:
        return image_rule(bad.reason)
    if is_single_colour(picture_HWC, config.single_colour_range):
        return ImageRule.SINGLE_COLOUR
    if image.data.startswith(_JPEG_START) and size == longer:
        return image.data
    return _encode(picture_HWC, config.jpeg_quality)


def image_rule(reason: Reason) -> ImageRule:
    """The rule that is called as a reason of the training pipeline."""
    return ImageRule(reason.value)


def is_single_colour(picture_HWC: np.ndarray, largest_range: int) -> bool:
    """Whether no colour channel of a picture, uint8 [H, W, 3], varies by more than so many levels.

    Pixels of a single colour that went through JPEG differ by a few levels.
    """
    flat = picture_HWC.reshape(-1, picture_HWC.shape[-1])
    ranges = flat.max(axis=0).astype(int) - flat.min(axis=0)
    return int(ranges.max()) <= largest_range


def upright(image: EncodedImage, header: Header, size: int) -> np.ndarray:
    """The picture as training sees it, but without the padding around it.

    Args:
        image: the file.
        header: what `read_header` says of it.
        size: of the longer side, in pixels.

    Returns:
        uint8 [H, W, 3].

    Raises:
        BadSample: see `decode_image`.
    """
    square_HWC = decode_image(image, size)
    width, height = fit.fitted_size(header.width, header.height, size)
    if header.is_turned:
        width, height = height, width
    top, left = (size - height) // 2, (size - width) // 2
    return square_HWC[top : top + height, left : left + width]


def _encode(picture_HWC: np.ndarray, quality: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture_HWC)).save(file, format=_JPEG, quality=quality)
    return file.getvalue()
