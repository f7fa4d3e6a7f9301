"""The batches of a dataset for a stage: the one way into the data for whoever trains or evaluates.

A step visits every dataset of the run, each with a batch of its own (paper, v2, B.1.2), so every
dataset is an iterator of its own and nothing is mixed within a batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data.sources import catalog
from flamingo_jax.data.vocabulary import Vocabulary

if TYPE_CHECKING:
    import tensorflow as tf

    from flamingo_jax.data.tasks.examples import Outputs

Batch = dict[str, np.ndarray]


def batches(
    dataset: DatasetConfig, vocabulary: Vocabulary, stage: str, start: int = 0
) -> Iterator[tuple[Batch, int]]:
    """Iterates over the batches of a dataset, without end.

    Args:
        dataset: the dataset's config.
        vocabulary: of the token ids.
        stage: "contrastive", "language_model" or "flamingo".
        start: position of the first example, in samples of the global batch. Batches depend on the
            position alone: going on from k * batch_size gives what an iterator from 0 gives after
            k batches.

    Returns:
        An iterator over (batch as in `schema`, position after it).

    Raises:
        UserError: a dataset that does not exist or does not fit the stage. Raised by this call, not
            by the first batch.
        ValueError: `start` is negative, or an op broke the batch contract.
    """
    if start < 0:
        raise ValueError(f"start is {start}: a position is at least 0")
    source = catalog.open_source(dataset, stage)
    # These load TensorFlow and seqio, which takes seconds: not for a misspelt config.
    import tensorflow as tf

    from flamingo_jax.data.tasks import contrastive, flamingo, language_model

    # TensorFlow takes all memory of the GPUs that it sees, and here it only makes batches. In a
    # process that has used it before, which GPUs it sees is settled.
    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices([], "GPU")
    module = {
        "contrastive": contrastive,
        "flamingo": flamingo,
        "language_model": language_model,
    }[stage]
    task = module.make_task(dataset, source, vocabulary, start)
    examples = task.get_dataset(
        split=dataset.split, shuffle=False, trim_output_features=False, try_in_mem_cache=False
    )
    return _batched(examples, module.outputs(dataset, source), dataset, start)


def _batched(
    examples: tf.data.Dataset, outputs: Outputs, dataset: DatasetConfig, start: int
) -> Iterator[tuple[Batch, int]]:
    import tensorflow as tf

    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    # The ops run in Python, one at a time; more threads would only take turns.
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    batched = examples.batch(dataset.batch_size, drop_remainder=True).with_options(options)
    position = start
    for batch in batched.as_numpy_iterator():
        position += dataset.batch_size
        _check(batch, outputs, dataset)
        yield batch, position
    raise UserError(f"dataset {dataset.name!r} ended at position {position}")


def _check(batch: Mapping[str, np.ndarray], outputs: Outputs, dataset: DatasetConfig) -> None:
    """Raises a ValueError unless a batch has the keys, dtypes and shapes of its contract."""
    found = {key: (array.dtype, array.shape) for key, array in batch.items()}
    wanted = {
        key: (np.dtype(output.dtype), (dataset.batch_size, *output.shape))
        for key, output in outputs.items()
    }
    if found != wanted:
        raise ValueError(f"dataset {dataset.name!r}: batch of {found}, expected {wanted}")
