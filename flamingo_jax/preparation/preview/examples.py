"""Examples to look at, exactly as the model gets them: rows of the batches of training."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data import mixtures
from flamingo_jax.data.bad_samples import Tally
from flamingo_jax.data.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example:
    """One row of a batch.

    Attributes:
        position: in the dataset's endless stream.
        row: the arrays of `data.schema` without the batch axis.
    """

    position: int
    row: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetPreview:
    """The examples of one dataset.

    Attributes:
        dataset: its config.
        examples: in order of position.
        counts: {"read": n, "refused/<reason>": n} of making them; a few examples are made ahead of
            the last one shown.
    """

    dataset: DatasetConfig
    examples: tuple[Example, ...]
    counts: Mapping[str, int]


def take(
    dataset: DatasetConfig, vocabulary: Vocabulary, stage: str, start: int, count: int
) -> DatasetPreview:
    """Makes examples of a dataset.

    Args:
        dataset: the dataset's config.
        vocabulary: of the token ids.
        stage: "contrastive", "language_model" or "flamingo".
        start: position of the first example.
        count: how many.

    Returns:
        The examples that training has at these positions, whatever its batch size.

    Raises:
        UserError: as `mixtures.batches`.
    """
    # An example depends on its position alone, so batches of one show what any batch holds there.
    one_by_one = dataclasses.replace(dataset, batch_size=1, microbatches=1)
    tally = Tally(dataset.name, dataset.max_bad_share)
    batches = mixtures.batches(one_by_one, vocabulary, stage, start, tally=tally)
    examples = tuple(
        Example(position=end - 1, row={key: array[0] for key, array in batch.items()})
        for batch, end in itertools.islice(batches, count)
    )
    prefix = f"data/{dataset.name}/"
    counts = {name.removeprefix(prefix): n for name, n in tally.metrics().items()}
    return DatasetPreview(dataset=dataset, examples=examples, counts=counts)
