"""The pictures and clips of an example: decoded, augmented, of one size."""

from __future__ import annotations

import numpy as np

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data import seeds
from flamingo_jax.data.ops import augment, decode
from flamingo_jax.data.sources.source import RawExample, Source


def make_media(
    position: int,
    raw: RawExample,
    dataset: DatasetConfig,
    source: Source,
    first: int = 0,
    count: int | None = None,
) -> np.ndarray:
    """Decodes and augments pictures; nothing is done for those that have no place.

    Args:
        position: of the example: every picture's augmentation follows from it and the picture's
            number.
        raw: the example.
        dataset: the dataset's config.
        source: where the example comes from.
        first: number of the first picture to take.
        count: how many to take, at most `dataset.max_images`; as many as there are if not given.

    Returns:
        uint8 [max_images, F, H, W, 3], zeros behind the last picture.

    Raises:
        BadSample: a picture cannot be decoded.
    """
    num_frames, height, width = source.media_shape
    media_IFHWC = np.zeros((dataset.max_images, num_frames, height, width, 3), np.uint8)
    room = dataset.max_images if count is None else min(count, dataset.max_images)
    is_augmented = not dataset.augmentation.is_off and not (
        dataset.augmentation.spare_pictures_of_text and raw.text_in_images
    )
    for place, item in enumerate(raw.media[first : first + room]):
        frames_FHWC = decode.decode(item, num_frames, height, dataset.frames_per_second)
        if is_augmented:
            stream = f"{source.name}/augmentation/{first + place}"
            random = seeds.generator(dataset.seed, stream, dataset.split, position)
            frames_FHWC = augment.augment(frames_FHWC, dataset.augmentation, random)
        media_IFHWC[place] = frames_FHWC
    return media_IFHWC
