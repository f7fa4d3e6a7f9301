"""webdataset as a competitor: tar shards in order, shuffled in a buffer, through torch's loader."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import webdataset

from benchmarks import reader_process
from benchmarks.peers import pillow_pipeline

_SHUFFLE_BUFFER = 200


def _pair(sample: tuple[bytes, bytes], vocabulary: str) -> tuple[np.ndarray, np.ndarray]:
    data, caption = sample
    picture = pillow_pipeline.picture(data, _random())
    return picture, pillow_pipeline.text(caption, vocabulary)


@functools.cache
def _random() -> np.random.Generator:
    """The generator of this worker."""
    return np.random.default_rng()


def _stacked(samples: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    pictures, texts = zip(*samples, strict=True)
    return np.stack(pictures), np.stack(texts)


def make(arguments: reader_process.Arguments) -> reader_process.NextBatch:
    """The function that waits for the next batch."""
    dataset = (
        webdataset.WebDataset(arguments.shards, resampled=True)
        .shuffle(_SHUFFLE_BUFFER)
        .to_tuple("jpg", "txt")
        .map(functools.partial(_pair, vocabulary=str(arguments.vocabulary)))
        .batched(reader_process.BATCH_SIZE, collation_fn=_stacked)
    )
    loader: Any = dataset
    if arguments.mode == "workers":
        loader = webdataset.WebLoader(
            dataset, batch_size=None, num_workers=reader_process.CORES, prefetch_factor=2
        )
    batches = iter(loader)
    return lambda: next(batches)


if __name__ == "__main__":
    given = reader_process.arguments(__doc__)
    reader_process.serve(make(given), given.batches)
