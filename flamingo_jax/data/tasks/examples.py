"""What the tasks of all stages share: raw examples as a seqio source, numpy ops as preprocessors.

A task is built for a position, not taken from seqio's registry, because the position enters where
the examples are numbered: `tf.data.Dataset.range(start, ...)`. Going on from a position therefore
costs nothing, wherever it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import seqio
import tensorflow as tf

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data import digits, epochs, schema
from flamingo_jax.data.sources.source import RawExample, Source
from flamingo_jax.data.vocabulary import Vocabulary

_POSITION, _CHUNKS, _RAW_MEDIA = "position", "chunks", "raw_media"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """dtype and shape of one key of the made examples (see `schema`), without the batch axis."""

    dtype: type[np.generic]
    shape: tuple[int, ...]


Outputs = Mapping[str, Output]
Assemble = Callable[[int, RawExample], Mapping[str, np.ndarray]]
"""(position, raw example) -> the arrays of `Outputs`."""


def make_task(
    stage: str,
    dataset: DatasetConfig,
    source: Source,
    vocabulary: Vocabulary,
    outputs: Outputs,
    assemble: Assemble,
    start: int,
) -> seqio.Task:
    """The seqio task of one dataset.

    Args:
        stage: names the task, together with the dataset's name.
        dataset: the dataset's config.
        source: where its raw examples come from.
        vocabulary: of the token ids.
        outputs: what the task gives.
        assemble: makes an example of a raw one; pure.
        start: position of the first example.

    Returns:
        A task whose dataset begins at position `start`, in order, and repeats a finite source for
        ever. Take it with `shuffle=False`: the order is already that of `epochs`.
    """
    return seqio.Task(
        name="".join(c if c.isalnum() else "_" for c in f"{stage}_{dataset.name}"),
        source=_numbered(source, dataset, start),
        preprocessors=[_mapped(outputs, assemble)],
        output_features={key: _feature(key, output, vocabulary) for key, output in outputs.items()},
        shuffle_buffer_size=None,
    )


def _feature(key: str, output: Output, vocabulary: Vocabulary) -> seqio.Feature:
    dtype, rank = tf.as_dtype(output.dtype), len(output.shape)
    if key == schema.TEXT:
        return seqio.Feature(vocabulary.for_seqio(), dtype=dtype, rank=rank)
    return seqio.ContinuousFeature(dtype=dtype, rank=rank)


def _numbered(source: Source, dataset: DatasetConfig, start: int) -> seqio.FunctionDataSource:
    """Raw examples from a position on.

    The number of examples is not told to seqio: it would cache the endless stream of a small
    source in memory.
    """

    def read(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        index = int(position)
        if source.num_examples is not None:
            index = epochs.example_at(
                index, source.num_examples, dataset.seed, source.name, dataset.split
            )
        example = source.read(index)
        return np.asarray([chunk.encode() for chunk in example.chunks], object), example.media

    def read_tensors(position: tf.Tensor) -> dict[str, tf.Tensor]:
        chunks, media = tf.numpy_function(read, [position], [tf.string, tf.uint8], stateful=False)
        chunks.set_shape([None])
        media.set_shape([None, *source.media_shape, 3])
        return {_POSITION: position, _CHUNKS: chunks, _RAW_MEDIA: media}

    def from_start(split: str, shuffle_files: bool) -> tf.data.Dataset:
        del split, shuffle_files  # The split is the dataset's own, the order that of `epochs`.
        return tf.data.Dataset.range(start, tf.int64.max).map(read_tensors)

    return seqio.FunctionDataSource(from_start, splits=digits.SPLITS)


def _mapped(outputs: Outputs, assemble: Assemble) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """A preprocessor that runs numpy ops on raw examples, one call into Python an example."""

    def run(position: np.ndarray, chunks: np.ndarray, media: np.ndarray) -> Sequence[np.ndarray]:
        raw = RawExample(chunks=tuple(chunk.decode() for chunk in chunks), media=media)
        example = assemble(int(position), raw)
        return [np.asarray(example[key], output.dtype) for key, output in outputs.items()]

    def run_tensors(raw: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        dtypes = [tf.as_dtype(output.dtype) for output in outputs.values()]
        inputs = [raw[_POSITION], raw[_CHUNKS], raw[_RAW_MEDIA]]
        arrays = tf.numpy_function(run, inputs, dtypes, stateful=False)
        for array, output in zip(arrays, outputs.values(), strict=True):
            array.set_shape(output.shape)
        return dict(zip(outputs, arrays, strict=True))

    return lambda raw_examples: raw_examples.map(run_tensors)
