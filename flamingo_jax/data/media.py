"""What a picture or a clip is before it is decoded."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodedImage:
    """The bytes of an image file, of any kind that Pillow reads.

    Attributes:
        data: the whole file.
        name: where it comes from, for messages.
    """

    data: bytes
    name: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodedVideo:
    """The bytes of a video file (mp4, webm, ...).

    Attributes:
        data: the whole file.
        name: where it comes from, for messages.
    """

    data: bytes
    name: str


Media = np.ndarray | EncodedImage | EncodedVideo
"""A picture or clip of an example; an array is uint8 [F, H, W, 3] and needs no decoding."""
