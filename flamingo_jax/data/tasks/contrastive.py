"""Examples of the contrastive stage: a picture and its text, plain tokens without a tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import seqio

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data import schema, seeds
from flamingo_jax.data.ops import leading_space, pad
from flamingo_jax.data.sources.source import RawExample, Source
from flamingo_jax.data.tasks import examples
from flamingo_jax.data.tasks.examples import Output, Outputs, Reading
from flamingo_jax.data.tasks.pictures import make_media
from flamingo_jax.data.vocabulary import Vocabulary


def outputs(dataset: DatasetConfig, source: Source) -> Outputs:
    """What an example holds."""
    return {
        schema.MEDIA: Output(dtype=np.uint8, shape=(dataset.max_images, *source.media_shape, 3)),
        schema.TEXT: Output(dtype=np.int32, shape=(dataset.max_text_length,)),
    }


def make_task(
    dataset: DatasetConfig, source: Source, vocabulary: Vocabulary, reading: Reading
) -> seqio.Task:
    """The task of a dataset of pairs."""
    stream = f"{source.name}/leading_space"

    def assemble(position: int, raws: Sequence[RawExample]) -> Mapping[str, np.ndarray]:
        (raw,) = raws
        text = "".join(raw.chunks)
        if dataset.leading_space_probability:
            random = seeds.generator(dataset.seed, stream, dataset.split, position)
            text = leading_space.add_leading_space(text, dataset.leading_space_probability, random)
        tokens_T = np.asarray(vocabulary.encode(text), np.int32)
        return {
            schema.MEDIA: make_media(position, raw, dataset, source),
            schema.TEXT: pad.pad_row(tokens_T, dataset.max_text_length),
        }

    return examples.make_task(
        "contrastive", dataset, source, vocabulary, outputs(dataset, source), assemble, reading
    )
