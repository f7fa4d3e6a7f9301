"""Pictures that are evaluation pictures in other files: found by the cosine of embeddings.

The paper compares embeddings of a visual encoder (appendix A.3.4). `Embedder` is where one is put
in; the built-in `embed_thumbnails` needs no training and stands in for it: it finds copies that
were resized or compressed anew, but not crops, mirror images or other views of the same thing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import BadSample
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.ops.decode_image import decode_image
from flamingo_jax.preparation.m3w.image_rules import upright
from flamingo_jax.preparation.picture_header import read_header

Embedder = Callable[[list[bytes]], np.ndarray]
"""Picture files that can be decoded -> float32 [N, E], one embedding each, of any length."""

_THUMBNAIL = 16
_PICTURES_AT_ONCE = 64
# Luma and the two colour differences of JPEG (ITU-R BT.601), in levels of 255.
_TO_LUMA_AND_COLOUR = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationPictures:
    """Pictures that must not be in the training data.

    Attributes:
        embed: how pictures are compared.
        embeddings_NE: float32 [N, E], of length 1 each.
        min_cosine: from which cosine on two pictures are the same.
    """

    embed: Embedder
    embeddings_NE: np.ndarray
    min_cosine: float

    def near_duplicates(self, pictures: Sequence[bytes]) -> np.ndarray:
        """Which pictures are near-duplicates of an evaluation picture: bool [len(pictures)]."""
        if not len(self.embeddings_NE) or not pictures:
            return np.zeros(len(pictures), bool)
        found_ME = embed_all(self.embed, pictures)
        return most_similar(found_ME, self.embeddings_NE) >= self.min_cosine


def embed_thumbnails(pictures: list[bytes]) -> np.ndarray:
    """Embeds pictures as 16 x 16 pixels of brightness and colour.

    Brightness counts from the picture's own mean, so that lighter and darker copies are alike;
    the picture is stretched to a square, so that its shape does not count.

    Args:
        pictures: files that can be decoded.

    Returns:
        float32 [N, 768].
    """
    return np.stack([_thumbnail(data) for data in pictures]).reshape(len(pictures), -1)


def _thumbnail(data: bytes) -> np.ndarray:
    from PIL import Image

    image = EncodedImage(data=data, name="picture")
    picture_HWC = np.ascontiguousarray(upright(image, read_header(image), 8 * _THUMBNAIL))
    small = Image.fromarray(picture_HWC).resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    levels_HWC = np.asarray(small, np.float32) @ _TO_LUMA_AND_COLOUR.T
    levels_HWC[..., 0] -= levels_HWC[..., 0].mean()
    return levels_HWC


def most_similar(found_ME: np.ndarray, known_NE: np.ndarray) -> np.ndarray:
    """The largest cosine of each found picture with any known one: float32 [M].

    Args:
        found_ME: embeddings of length 1, or 0, which is similar to nothing.
        known_NE: as well, N at least 1.
    """
    return (found_ME @ known_NE.T).max(axis=1)


def embed_all(embed: Embedder, pictures: Sequence[bytes]) -> np.ndarray:
    """Embeddings of length 1, some pictures at a time; one without length stays 0.

    Returns:
        float32 [N, E]; N must be at least 1.
    """
    parts = [
        np.asarray(embed(list(pictures[start : start + _PICTURES_AT_ONCE])), np.float32)
        for start in range(0, len(pictures), _PICTURES_AT_ONCE)
    ]
    embeddings_NE = np.concatenate(parts)
    lengths = np.linalg.norm(embeddings_NE, axis=1, keepdims=True)
    return embeddings_NE / np.where(lengths > 0, lengths, 1)


def embed_evaluation_pictures(paths: Sequence[str], embed: Embedder) -> np.ndarray:
    """The embeddings of evaluation pictures, float32 [N, E], of length 1.

    Raises:
        UserError: a file is no picture that can be decoded.
    """
    parts = []
    for start in range(0, len(paths), _PICTURES_AT_ONCE):
        batch = [
            _read_evaluation_picture(path) for path in paths[start : start + _PICTURES_AT_ONCE]
        ]
        parts.append(embed_all(embed, batch))
    return np.concatenate(parts)


def _read_evaluation_picture(path: str) -> bytes:
    try:
        data = files.read_bytes(path)
        decode_image(EncodedImage(data=data, name=path), _THUMBNAIL)
    except OSError as error:
        raise UserError(f"--evaluation_images: {path}: {error.strerror or error}") from error
    except BadSample as bad:
        raise UserError(f"--evaluation_images: {bad}") from bad
    return data
