"""What the tasks of all stages share: from a position to an example, through seqio.

A task is built for a position, not taken from seqio's registry, because the position enters where
the examples are numbered. Going on from a position therefore costs nothing, wherever it is, and
what stands there depends on nothing else: not on the host, nor on what was read before.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import seqio
import tensorflow as tf

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import digits, epochs, schema, seeds
from flamingo_jax.data.bad_samples import BadSample, Tally
from flamingo_jax.data.sources.source import RawExample, Source
from flamingo_jax.data.vocabulary import Vocabulary

_POSITION = "position"
_MOST_ATTEMPTS = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """dtype and shape of one key of the made examples (see `schema`), without the batch axis."""

    dtype: type[np.generic]
    shape: tuple[int, ...]


Outputs = Mapping[str, Output]
Assemble = Callable[[int, Sequence[RawExample]], Mapping[str, np.ndarray]]
"""(position, raw examples) -> the arrays of `Outputs`; raises `BadSample`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """Where in a dataset a process reads, and how.

    Attributes:
        start: position of the first row of the first global batch.
        rows: rows of each global batch that this process makes.
        num_threads: examples that are made at the same time.
        tally: counts what is read and refused.
        errors: what examples raised, to be raised again outside TensorFlow.
    """

    start: int
    rows: range
    num_threads: int
    tally: Tally
    errors: list[BaseException] = dataclasses.field(default_factory=list)

    @property
    def num_in_making(self) -> int:
        """Examples that are begun: a slow one holds up those behind it, but not the threads."""
        return self.num_threads if self.num_threads == 1 else 2 * self.num_threads


def make_task(
    stage: str,
    dataset: DatasetConfig,
    source: Source,
    vocabulary: Vocabulary,
    outputs: Outputs,
    assemble: Assemble,
    reading: Reading,
    examples_per_row: int = 1,
) -> seqio.Task:
    """The seqio task of one dataset.

    Args:
        stage: names the task, together with the dataset's name.
        dataset: the dataset's config.
        source: where its raw examples come from.
        vocabulary: of the token ids.
        outputs: what the task gives.
        assemble: makes a row of `examples_per_row` raw examples; pure.
        reading: where it begins, and how it reads.
        examples_per_row: raw examples that one position stands for.

    Returns:
        A task whose dataset begins at position `reading.start`, in order, and repeats a finite
        source for ever. Take it with `shuffle=False`: the order is already that of `epochs`.
    """

    def make(position: np.ndarray) -> Sequence[np.ndarray]:
        try:
            example = make_row(
                int(position), dataset, source, assemble, reading.tally, examples_per_row
            )
            return [np.asarray(example[key], output.dtype) for key, output in outputs.items()]
        except BaseException as error:
            # TensorFlow would raise an error of its own, with this one as a text inside.
            reading.errors.append(error)
            raise

    def make_tensors(numbered: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        dtypes = [tf.as_dtype(output.dtype) for output in outputs.values()]
        arrays = tf.numpy_function(make, [numbered[_POSITION]], dtypes, stateful=False)
        for array, output in zip(arrays, outputs.values(), strict=True):
            array.set_shape(output.shape)
        return dict(zip(outputs, arrays, strict=True))

    def make_all(positions: tf.data.Dataset) -> tf.data.Dataset:
        return positions.map(
            make_tensors, num_parallel_calls=reading.num_in_making, deterministic=True
        )

    return seqio.Task(
        name="".join(c if c.isalnum() else "_" for c in f"{stage}_{dataset.name}"),
        source=_positions(dataset.batch_size, reading),
        preprocessors=[make_all],
        output_features={key: _feature(key, output, vocabulary) for key, output in outputs.items()},
        shuffle_buffer_size=None,
    )


def make_row(
    position: int,
    dataset: DatasetConfig,
    source: Source,
    assemble: Assemble,
    tally: Tally,
    examples_per_row: int = 1,
) -> Mapping[str, np.ndarray]:
    """The row at a position; examples that cannot be used are counted and replaced.

    What takes the place of a bad example is drawn from the whole dataset by the position alone, so
    the row is the same whoever makes it.

    Raises:
        UserError: too many examples are bad, or every one that was tried.
    """
    bad: BadSample | None = None
    candidates = _candidates(position, dataset, source, tally, examples_per_row)
    for raws in itertools.islice(candidates, _MOST_ATTEMPTS):
        try:
            return assemble(position, raws)
        except BadSample as error:
            bad = error
            tally.count_refused(error)
    raise UserError(
        f"dataset {dataset.name!r}: {_MOST_ATTEMPTS} examples in turn cannot be used, the last:"
        f" {bad}; look at the data with `python -m flamingo_jax.prepare validate`"
    )


def _candidates(
    position: int, dataset: DatasetConfig, source: Source, tally: Tally, examples_per_row: int
) -> Iterator[Sequence[RawExample]]:
    """Readable raw examples for a row: those that stand there, then ever new substitutes."""
    places = range(position * examples_per_row, (position + 1) * examples_per_row)
    readers = [_readable(place, dataset, source, tally) for place in places]
    while True:
        yield [next(reader) for reader in readers]


def _readable(
    place: int, dataset: DatasetConfig, source: Source, tally: Tally
) -> Iterator[RawExample]:
    """The example at a place in the stream of epochs if it can be read, then substitutes."""
    for attempt in range(_MOST_ATTEMPTS):
        tally.count_read()
        try:
            yield source.read(_index(place, attempt, dataset, source))
        except BadSample as error:
            bad = error
            tally.count_refused(error)
    raise UserError(
        f"dataset {dataset.name!r}: {_MOST_ATTEMPTS} examples in turn cannot be read, the last:"
        f" {bad}; look at the data with `python -m flamingo_jax.prepare validate`"
    )


def _index(place: int, attempt: int, dataset: DatasetConfig, source: Source) -> int:
    """Number of the example at a place of the stream, or of its substitute."""
    if source.num_examples is None:
        return place  # Painted examples are never bad.
    if attempt:
        stream = f"{source.name}/substitute/{attempt}"
        random = seeds.generator(dataset.seed, stream, dataset.split, place)
        return int(random.integers(source.num_examples))
    if not dataset.shuffle:
        return place % source.num_examples
    return epochs.example_at(place, source.num_examples, dataset.seed, source.name, dataset.split)


def _feature(key: str, output: Output, vocabulary: Vocabulary) -> seqio.Feature:
    dtype, rank = tf.as_dtype(output.dtype), len(output.shape)
    if key == schema.TEXT:
        return seqio.Feature(vocabulary.for_seqio(), dtype=dtype, rank=rank)
    return seqio.ContinuousFeature(dtype=dtype, rank=rank)


def _positions(batch_size: int, reading: Reading) -> seqio.FunctionDataSource:
    """The positions that this process makes, batch after batch.

    Their number is not told to seqio: it would cache the endless stream of a small source in
    memory.
    """
    first, count = reading.rows.start, len(reading.rows)

    def position(number: tf.Tensor) -> dict[str, tf.Tensor]:
        batch, row = number // count, number % count
        return {_POSITION: reading.start + batch * batch_size + first + row}

    def from_start(split: str, shuffle_files: bool) -> tf.data.Dataset:
        del split, shuffle_files  # The split is the dataset's own, the order that of `epochs`.
        return tf.data.Dataset.range(tf.int64.max).map(position)

    return seqio.FunctionDataSource(from_start, splits=digits.SPLITS)
