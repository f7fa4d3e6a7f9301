"""Pairs out of datasets that TFDS has prepared. See `docs/data/pairs.md`."""

from __future__ import annotations

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.sources.pair import pair_source
from flamingo_jax.data.sources.source import RawExample, Source
from flamingo_jax.data.sources.tfds_examples import open_prepared, values_of


def source(dataset: DatasetConfig) -> Source:
    """The examples of the dataset that `dataset.paths` names: "name", "name:version".

    Raises:
        UserError: it is not prepared, not stored as TFRecord, or has no such split or feature.
    """
    prepared, image_field = open_prepared(dataset), dataset.options.image_field
    read_image, read_text = prepared.image_reader(), prepared.text_reader()
    index = prepared.open_index()

    def read(n: int) -> RawExample:
        values, name = values_of(index, n), index.name(n)
        picture = EncodedImage(data=read_image(values, name), name=f"{name}: {image_field}")
        return RawExample(chunks=("", read_text(values, name)), media=(picture,))

    return pair_source(dataset, read, index.num_records, index.problems)
