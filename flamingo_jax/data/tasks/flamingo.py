"""Examples of the Flamingo stage: pages, pairs and clips as tokens, phi and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import seqio

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data import schema, seeds
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.ops import (
    interleave,
    leading_space,
    media_index,
    pad,
    scored,
    subsequence,
)
from flamingo_jax.data.sources.source import Content, RawExample, Source
from flamingo_jax.data.tasks import examples
from flamingo_jax.data.tasks.examples import Output, Outputs, Reading
from flamingo_jax.data.tasks.pictures import make_media
from flamingo_jax.data.vocabulary import Vocabulary


def outputs(dataset: DatasetConfig, source: Source) -> Outputs:
    """What an example holds."""
    length = (dataset.max_text_length,)
    return {
        schema.MEDIA: Output(dtype=np.uint8, shape=(dataset.max_images, *source.media_shape, 3)),
        schema.TEXT: Output(dtype=np.int32, shape=length),
        schema.MEDIA_INDEX: Output(dtype=np.int32, shape=length),
        schema.LOSS_WEIGHT: Output(dtype=np.float32, shape=length),
    }


def make_task(
    dataset: DatasetConfig, source: Source, vocabulary: Vocabulary, reading: Reading
) -> seqio.Task:
    """The task of a dataset of pages, pairs or clips."""
    length = dataset.max_text_length
    tag_length = len(vocabulary.encode(schema.IMAGE_TAG))

    def random(position: int, op: str) -> np.random.Generator:
        return seeds.generator(dataset.seed, f"{source.name}/{op}", dataset.split, position)

    def assemble(position: int, raws: Sequence[RawExample]) -> Mapping[str, np.ndarray]:
        (raw,) = raws
        chunks = raw.chunks
        if source.content in (Content.PAIR, Content.CLIP) and dataset.leading_space_probability:
            before, text = chunks
            text = leading_space.add_leading_space(
                text, dataset.leading_space_probability, random(position, "leading_space")
            )
            chunks = (before, text)
        tokens, first_image = interleave.interleave(chunks, vocabulary), 0
        if dataset.random_subsequence:
            tokens, first_image = subsequence.random_subsequence(
                tokens, length, tag_length, random(position, "subsequence")
            )
        tokens = pad.cut(tokens, length, dataset.max_images)
        num_images = int(tokens.chunk.max())
        phi_T = tokens.chunk
        if dataset.p_next:
            phi_T = media_index.media_index(
                tokens.chunk, num_images, dataset.p_next, random(position, "p_next")
            )
        loss_weight_T = scored.loss_weight(tokens, dataset.scored, tag_length, length)
        if not loss_weight_T.any():
            raise BadSample(Reason.NO_TEXT_AFTER_IMAGE, f"{source.name} at position {position}")
        return {
            schema.MEDIA: make_media(position, raw, dataset, source, first_image, num_images),
            schema.TEXT: pad.pad_row(tokens.text, length),
            schema.MEDIA_INDEX: pad.pad_row(phi_T, length),
            schema.LOSS_WEIGHT: loss_weight_T,
        }

    return examples.make_task(
        "flamingo", dataset, source, vocabulary, outputs(dataset, source), assemble, reading
    )
