"""Our reader as a competitor: `python -m benchmarks.our_reader FOLDER VOCABULARY MODE BATCHES`.

It is the way into the data that training takes (`flamingo_jax.data.mixtures`), with threads.
"""

from __future__ import annotations

from benchmarks import reader_process
from flamingo_jax.config import AugmentationConfig, DatasetConfig, SourceOptions
from flamingo_jax.data import mixtures, schema, vocabulary


def dataset_config(folder: str) -> DatasetConfig:
    """The shards of a folder as a dataset of pairs."""
    return DatasetConfig(
        name="pairs",
        source="pairs/webdataset",
        paths=("*.tar",),
        data_dir=folder,
        options=SourceOptions(index_dir=folder),
        batch_size=reader_process.BATCH_SIZE,
        loss_weight=1.0,
        max_text_length=reader_process.TEXT_LENGTH,
        image_size=reader_process.IMAGE_SIZE,
        augmentation=AugmentationConfig(
            flip_probability=reader_process.FLIP_PROBABILITY,
            brightness=reader_process.BRIGHTNESS,
            contrast=reader_process.CONTRAST,
        ),
    )


def make(arguments: reader_process.Arguments) -> reader_process.NextBatch:
    """The function that waits for the next batch."""
    words = vocabulary.load(str(arguments.vocabulary))
    batches = mixtures.batches(
        dataset_config(str(arguments.folder)), words, "flamingo", num_threads=reader_process.CORES
    )

    def next_batch() -> tuple[object, object]:
        batch, _ = next(batches)
        return batch[schema.MEDIA], batch[schema.TEXT]

    return next_batch


if __name__ == "__main__":
    given = reader_process.arguments(__doc__)
    reader_process.serve(make(given), given.batches)
