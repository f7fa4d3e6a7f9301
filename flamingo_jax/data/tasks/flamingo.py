"""Examples of the Flamingo stage: pages, pairs and clips as tokens, phi and pictures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import seqio

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data import schema, seeds
from flamingo_jax.data.ops import interleave, leading_space, media_index, pad
from flamingo_jax.data.sources.source import Content, RawExample, Source
from flamingo_jax.data.tasks import examples
from flamingo_jax.data.tasks.examples import Output, Outputs
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
    dataset: DatasetConfig, source: Source, vocabulary: Vocabulary, start: int
) -> seqio.Task:
    """The task of a dataset of pages, pairs or clips, from position `start` on."""

    def random(position: int, op: str) -> np.random.Generator:
        return seeds.generator(dataset.seed, f"{source.name}/{op}", dataset.split, position)

    def assemble(position: int, raw: RawExample) -> Mapping[str, np.ndarray]:
        chunks = raw.chunks
        if source.content in (Content.PAIR, Content.CLIP) and dataset.leading_space_probability:
            before, text = chunks
            text = leading_space.add_leading_space(
                text, dataset.leading_space_probability, random(position, "leading_space")
            )
            chunks = (before, text)
        tokens = interleave.interleave(chunks, vocabulary)
        tokens = pad.cut(tokens, dataset.max_text_length, dataset.max_images)
        phi_T = tokens.chunk
        if dataset.p_next:
            phi_T = media_index.media_index(
                tokens.chunk,
                num_images=min(len(raw.media), dataset.max_images),
                p_next=dataset.p_next,
                random=random(position, "p_next"),
            )
        text_T = pad.pad_row(tokens.text, dataset.max_text_length)
        return {
            schema.MEDIA: pad.pad_media(raw.media, dataset.max_images),
            schema.TEXT: text_T,
            schema.MEDIA_INDEX: pad.pad_row(phi_T, dataset.max_text_length),
            schema.LOSS_WEIGHT: pad.loss_weight(text_T),
        }

    return examples.make_task(
        "flamingo", dataset, source, vocabulary, outputs(dataset, source), assemble, start
    )
