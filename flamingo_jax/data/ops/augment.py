"""Random flip and colour of one picture or clip (paper, section 3; it gives no numbers).

Brightness, contrast, saturation and hue are all affine maps of (R, G, B), so they are composed to
one and applied at once. The padding around a picture changes with it, as if it belonged to it.
"""

from __future__ import annotations

import math

import numpy as np

from flamingo_jax.config import AugmentationConfig

_FULL = 255.0
_GREY_OF_RGB = np.asarray((0.299, 0.587, 0.114))
# Grey and two colour axes at a right angle to it (YIQ); hue is the angle between the two.
_YIQ_OF_RGB = np.asarray(
    (_GREY_OF_RGB, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))
)
_RGB_OF_YIQ = np.linalg.inv(_YIQ_OF_RGB)


def augment(
    frames_FHWC: np.ndarray, config: AugmentationConfig, random: np.random.Generator
) -> np.ndarray:
    """Changes a picture or a clip at random, all its frames in the same way.

    Five numbers are drawn whatever the config, so that one kind of change, switched on or off,
    leaves the others as they are.

    Args:
        frames_FHWC: uint8 [F, H, W, 3], RGB. Not written to.
        config: how far each change may go.
        random: generator of this picture.

    Returns:
        uint8 [F, H, W, 3]; the argument itself if nothing changes.
    """
    if config.is_off:
        return frames_FHWC
    draws = random.random(5)
    flips = bool(draws[0] < config.flip_probability)
    brightness, contrast, saturation, hue = (2.0 * draws[1:] - 1.0) * (
        config.brightness, config.contrast, config.saturation, config.hue,
    )  # fmt: skip
    changes_colour = any((brightness, contrast, saturation, hue))
    if not (flips or changes_colour):
        return frames_FHWC
    # Pillow changes pixels faster than NumPy does, and lets other threads run meanwhile. It is
    # loaded here because the embedded world needs none.
    from PIL import Image

    num_frames, height, width, _ = frames_FHWC.shape
    # Frames one below the other are one picture, whose rows may be flipped just as well.
    picture = Image.fromarray(frames_FHWC.reshape(num_frames * height, width, 3))
    if flips:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    matrix = colour_matrix(brightness, contrast, saturation, hue)
    if saturation or hue:
        picture = picture.convert("RGB", tuple(matrix.ravel().tolist()))
    elif changes_colour:
        # No channel depends on another: a table of 256 values is five times as fast.
        picture = picture.point(channel_table(matrix[0, 0], matrix[0, 3]) * 3)
    return np.asarray(picture).reshape(frames_FHWC.shape)


def channel_table(factor: float, added: float) -> list[int]:
    """What becomes of each of the 256 values of a channel: factor * value + added, in 0 to 255."""
    values = np.arange(256) * factor + added
    return np.floor(values + 0.5).clip(0, 255).astype(int).tolist()


def colour_matrix(brightness: float, contrast: float, saturation: float, hue: float) -> np.ndarray:
    """The affine map of a change of colour, in this order; four zeros change nothing.

    Args:
        brightness: is added, as a share of 255.
        contrast: the distance from mid-grey is multiplied by 1 + this.
        saturation: the distance from the grey of the same luma is multiplied by 1 + this.
        hue: turn of the colour circle in YIQ, from red to yellow, as a share of the circle; grey
        stays grey.

    Returns:
        float64 [3, 4]: (R', G', B') = matrix[:, :3] (R, G, B) + matrix[:, 3], to be clipped to 0
        to 255.
    """
    grey = np.tile(_GREY_OF_RGB, (3, 1))
    saturated = grey + (1.0 + saturation) * (np.eye(3) - grey)
    sine, cosine = math.sin(2.0 * math.pi * hue), math.cos(2.0 * math.pi * hue)
    turn = np.asarray(((1.0, 0.0, 0.0), (0.0, cosine, sine), (0.0, -sine, cosine)))
    turned = _RGB_OF_YIQ @ turn @ _YIQ_OF_RGB
    # Saturation and hue keep greys as they are, so what brightness and contrast add passes them
    # unchanged.
    added = (1.0 + contrast) * brightness * _FULL - contrast * _FULL / 2.0
    return np.column_stack(((1.0 + contrast) * turned @ saturated, np.full(3, added)))
