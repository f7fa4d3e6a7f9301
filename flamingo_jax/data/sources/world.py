"""The embedded world as sources: endless, drawn by number, painted on the fly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import scenes, seeds, text_world, world
from flamingo_jax.data.sources.source import Content, RawExample, Source

_FEWEST_FRAMES = 2

Draw = Callable[[np.random.Generator], world.Document]


def pages(dataset: DatasetConfig) -> Source:
    """Interleaved pages of at most `max_images` pictures (as M3W)."""
    return _painted(
        dataset,
        Content.PAGE,
        lambda random: world.page_of_any_length(random, dataset.split, dataset.max_images),
    )


def noisy_pairs(dataset: DatasetConfig) -> Source:
    """Pictures with short, sometimes wrong text (as ALIGN)."""
    return _painted(dataset, Content.PAIR, lambda random: world.noisy_pair(random, dataset.split))


def clean_pairs(dataset: DatasetConfig) -> Source:
    """Pictures with a longer, true description (as LTIP)."""
    return _painted(dataset, Content.PAIR, lambda random: world.clean_pair(random, dataset.split))


def clips(dataset: DatasetConfig) -> Source:
    """Clips of `num_frames` frames with a caption or a question and its answer (as VTP).

    Raises:
        UserError: fewer than 2 frames, in which nothing can happen.
    """
    if dataset.num_frames < _FEWEST_FRAMES:
        raise UserError(
            f"config.data[{dataset.name}].num_frames is {dataset.num_frames}:"
            f" expected at least {_FEWEST_FRAMES} for {dataset.source!r}"
        )
    return _painted(
        dataset,
        Content.CLIP,
        lambda random: world.clip_pair(random, dataset.split, dataset.num_frames),
    )


def text(dataset: DatasetConfig) -> Source:
    """The world in text alone."""

    def read(index: int) -> RawExample:
        random = seeds.generator(dataset.seed, dataset.source, dataset.split, index)
        document = text_world.document(random, dataset.split)
        return RawExample(chunks=(document,))

    return Source(name=dataset.source, content=Content.TEXT, read=read)


def _painted(dataset: DatasetConfig, content: Content, draw: Draw) -> Source:
    """A source of documents whose scenes are painted when they are read."""

    def read(index: int) -> RawExample:
        random = seeds.generator(dataset.seed, dataset.source, dataset.split, index)
        document = draw(random)
        media = document.render(dataset.split, random)
        return RawExample(chunks=document.chunks, media=tuple(media))

    num_frames = dataset.num_frames if content is Content.CLIP else 1
    return Source(
        name=dataset.source,
        content=content,
        read=read,
        media_shape=(num_frames, scenes.IMAGE_SIZE, scenes.IMAGE_SIZE),
    )
