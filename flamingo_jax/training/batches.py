"""The shapes of a step's batches, for compiling a step before there is any data."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from flamingo_jax.config import DatasetConfig, RunConfig
from flamingo_jax.data import schema
from flamingo_jax.sharding.rules import batch_sharding

_COLOURS = 3
_PICTURES = (schema.MEDIA, schema.MEDIA_INDEX)
_TEXT_ALONE = (schema.TEXT, schema.LOSS_WEIGHT, schema.SEGMENT)
_KEYS = {
    "contrastive": (schema.MEDIA, schema.TEXT),
    "language_model": _TEXT_ALONE,
    "flamingo": (*_TEXT_ALONE, *_PICTURES),
}


def abstract_batches(
    config: RunConfig, mesh: jax.sharding.Mesh | jax.sharding.AbstractMesh
) -> dict[str, dict[str, jax.ShapeDtypeStruct]]:
    """The batches that one step takes, as shapes.

    Args:
      config: of the run; its stage decides what a batch holds (`data/schema.py`).
      mesh: that the batches are split over.

    Returns:
      `{dataset: {key: ShapeDtypeStruct with sharding}}`.
    """
    sharding = batch_sharding(mesh)
    return {
        dataset.name: {
            key: jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)
            for key, (shape, dtype) in _arrays(config, dataset).items()
            if key in _KEYS[config.stage]
        }
        for dataset in config.data
    }


def _arrays(
    config: RunConfig, dataset: DatasetConfig
) -> dict[str, tuple[tuple[int, ...], jnp.dtype]]:
    """Shape and dtype of every key that a batch of the dataset may hold."""
    text: tuple[int, ...] = (dataset.batch_size, dataset.max_text_length)
    arrays = {
        schema.TEXT: (text, jnp.dtype("int32")),
        schema.LOSS_WEIGHT: (text, jnp.dtype("float32")),
    }
    if dataset.documents_per_row > 1:
        arrays[schema.SEGMENT] = (text, jnp.dtype("int32"))
    # In the Flamingo stage, `max_images` 0 is what says that a dataset is text alone.
    if config.model.vision_encoder is None or dataset.max_images == 0:
        return arrays
    arrays[schema.MEDIA_INDEX] = (text, jnp.dtype("int32"))
    size = config.model.vision_encoder.image_size
    media = (dataset.batch_size, dataset.max_images, dataset.num_frames, size, size, _COLOURS)
    return arrays | {schema.MEDIA: (media, jnp.dtype("uint8"))}
