"""The batches of a dataset for a stage: the one way into the data for whoever trains or evaluates.

A step visits every dataset of the run, each with a batch of its own (paper, v2, B.1.2), so every
dataset is an iterator of its own and nothing is mixed within a batch.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import weakref
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import Tally
from flamingo_jax.data.sources import catalog
from flamingo_jax.data.sources.source import Content, Source
from flamingo_jax.data.vocabulary import Vocabulary

if TYPE_CHECKING:
    import tensorflow as tf

    from flamingo_jax.data.tasks.examples import Outputs, Reading

Batch = dict[str, np.ndarray]
_Batches = Generator[tuple[Batch, int], None, None]

_open: weakref.WeakSet[_Batches] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Ends TensorFlow's threads while Python still runs.

    They make examples in Python. Left to the end of the process, they would wait for an interpreter
    that is gone, and the process for them.
    """
    for batches in list(_open):
        with contextlib.suppress(ValueError):  # It is running, in a thread that will not end.
            batches.close()


def batches(
    dataset: DatasetConfig,
    vocabulary: Vocabulary,
    stage: str,
    start: int = 0,
    *,
    rows: range | None = None,
    num_threads: int = 0,
    tally: Tally | None = None,
) -> Iterator[tuple[Batch, int]]:
    """Iterates over the batches of a dataset, without end.

    Memory: one batch in making, one made, and twice `num_threads` examples, encoded and decoded.

    Args:
        dataset: the dataset's config.
        vocabulary: of the token ids.
        stage: "contrastive", "language_model" or "flamingo".
        start: position of the first example, in samples of the global batch. Batches depend on the
            position alone: going on from k * batch_size gives what an iterator from 0 gives after
            k batches.
        rows: rows of every global batch that this process makes, of step 1; all if not given. The
            processes of a run together make the batch that one process would make alone.
        num_threads: examples that are made at the same time; 0: one for each core.
        tally: counts what is read and refused.

    Returns:
        An iterator over (batch as in `schema`, position after it).

    Raises:
        UserError: a dataset that does not exist or does not fit the stage. Raised by this call, not
            by the first batch. The iterator raises one when too many examples are bad.
        ValueError: `start` is negative, or an op broke the batch contract.
    """
    if start < 0:
        raise ValueError(f"start is {start}: a position is at least 0")
    source = catalog.open_source(dataset, stage)
    tally = tally or Tally(dataset.name, dataset.max_bad_share)
    for problem in source.problems:
        tally.count_problem(problem)
    # These load TensorFlow and seqio, which takes seconds: not for a misspelt config.
    import tensorflow as tf

    from flamingo_jax.data.tasks.examples import Reading

    # TensorFlow takes all memory of the GPUs that it sees, and here it only makes batches. In a
    # process that has used it before, which GPUs it sees is settled.
    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices([], "GPU")
    module = _task_module(stage, source.content)
    reading = Reading(
        start=start,
        rows=range(dataset.batch_size) if rows is None else rows,
        num_threads=_num_threads(source, num_threads),
        tally=tally,
    )
    task = module.make_task(dataset, source, vocabulary, reading)
    examples = task.get_dataset(
        split=dataset.split, shuffle=False, trim_output_features=False, try_in_mem_cache=False
    )
    batches = _batched(examples, module.outputs(dataset, source), dataset, reading)
    _open.add(batches)
    return batches


def _task_module(stage: str, content: Content) -> Any:
    """The module that makes examples of such content for a stage."""
    from flamingo_jax.data.tasks import contrastive, flamingo, language_model

    if not content.has_media:
        return language_model  # In the Flamingo stage too: its step knows text alone by its keys.
    return {
        "contrastive": contrastive,
        "flamingo": flamingo,
        "language_model": language_model,
    }[stage]


def _num_threads(source: Source, num_threads: int) -> int:
    if source.num_examples is None:
        return 1  # Painted in Python: more threads would only take turns.
    return num_threads or os.cpu_count() or 1


def _batched(
    examples: tf.data.Dataset, outputs: Outputs, dataset: DatasetConfig, reading: Reading
) -> _Batches:
    import tensorflow as tf

    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    options.threading.private_threadpool_size = reading.num_threads
    options.threading.max_intra_op_parallelism = 1
    num_rows = len(reading.rows)
    # A batch is put together while its examples' successors are made, by a thread of its own.
    batched = examples.batch(num_rows, drop_remainder=True).prefetch(1).with_options(options)
    position = reading.start
    try:
        for batch in batched.as_numpy_iterator():
            position += dataset.batch_size
            _check(batch, outputs, dataset, num_rows)
            yield batch, position
    except tf.errors.OpError:
        if not reading.errors:
            raise
        raise reading.errors[0] from None
    raise UserError(f"dataset {dataset.name!r} ended at position {position}")


def _check(
    batch: Mapping[str, np.ndarray], outputs: Outputs, dataset: DatasetConfig, num_rows: int
) -> None:
    """Raises a ValueError unless a batch has the keys, dtypes and shapes of its contract."""
    found = {key: (array.dtype, array.shape) for key, array in batch.items()}
    wanted = {
        key: (np.dtype(output.dtype), (num_rows, *output.shape)) for key, output in outputs.items()
    }
    if found != wanted:
        raise ValueError(f"dataset {dataset.name!r}: batch of {found}, expected {wanted}")
