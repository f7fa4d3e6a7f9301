"""Grain as a competitor: records of an ArrayRecord file in a global random order."""

from __future__ import annotations

import functools
import struct
import tarfile
from pathlib import Path

import grain
import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter
from grain.sources import ArrayRecordDataSource

from benchmarks import reader_process
from benchmarks.peers import pillow_pipeline

_LENGTH = "<I"


def write_records(shards: list[str], path: Path) -> None:
    """Copies pairs of tar shards, a record each: length of the picture, picture, caption."""
    # One record a group is what Grain's documentation asks for where records are read at random.
    writer = ArrayRecordWriter(str(path), "group_size:1")
    for shard in shards:
        with tarfile.open(shard) as tar:
            contents = {member.name: tar.extractfile(member) for member in tar}
            for name, file in contents.items():
                caption = contents.get(name.replace(".jpg", ".txt"))
                if name.endswith(".jpg") and file is not None and caption is not None:
                    data = file.read()
                    writer.write(struct.pack(_LENGTH, len(data)) + data + caption.read())
    writer.close()


def _pair(
    record: bytes, random: np.random.Generator, vocabulary: str
) -> tuple[np.ndarray, np.ndarray]:
    (length,), start = struct.unpack_from(_LENGTH, record), struct.calcsize(_LENGTH)
    data, caption = record[start : start + length], record[start + length :]
    return pillow_pipeline.picture(data, random), pillow_pipeline.text(caption, vocabulary)


def make(arguments: reader_process.Arguments) -> reader_process.NextBatch:
    """The function that waits for the next batch."""
    records = arguments.folder / f"{arguments.mode}.array_record"
    write_records(arguments.shards, records)
    pairs = (
        grain.MapDataset.source(ArrayRecordDataSource(str(records)))
        .seed(0)
        .shuffle()
        .repeat()
        .random_map(functools.partial(_pair, vocabulary=str(arguments.vocabulary)))
    )
    has_workers = arguments.mode == "workers"
    # Workers have a thread each: two on one processor only take turns.
    options = grain.ReadOptions(
        num_threads=1 if has_workers else reader_process.CORES,
        prefetch_buffer_size=reader_process.BATCH_SIZE,
    )
    dataset = pairs.to_iter_dataset(options).batch(reader_process.BATCH_SIZE)
    if has_workers:
        workers = grain.MultiprocessingOptions(
            num_workers=reader_process.CORES, per_worker_buffer_size=1
        )
        dataset = dataset.mp_prefetch(workers)
    batches = iter(dataset)
    return lambda: next(batches)


if __name__ == "__main__":
    given = reader_process.arguments(__doc__)
    reader_process.serve(make(given), given.batches)
