"""Pages as lines of JSON, with pictures as files: the form to bring one's own pages in.

A line is a list of `{"text": "..."}` and `{"image": "cat.jpg"}` in reading order, or an object with
that list as its `content`. See `docs/data/interleaved.md`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data import files, image_store
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.image_store import ImageStore
from flamingo_jax.data.indexes.lines import open_line_index
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.sources import json_records, page_assembly
from flamingo_jax.data.sources.source import RawExample, Source

_CONTENT = "content"


def source(dataset: DatasetConfig) -> Source:
    """The pages of text files with a page a line.

    Raises:
        UserError: no files, no lines, or no folder of pictures.
    """
    field, options = f"config.data[{dataset.name}]", dataset.options
    paths = files.expand(dataset.paths, dataset.data_dir, f"{field}.paths")
    index = open_line_index(paths, options.index_dir, f"{field}.paths")
    problems = index.problems
    if options.images:
        store = image_store.open_image_store(
            options.images, dataset.data_dir, options.index_dir, f"{field}.options.images"
        )
        problems += store.problems
        stores = dict.fromkeys(map(os.path.dirname, paths), store)
    else:
        folders = set(map(os.path.dirname, paths))
        stores = {folder: image_store.folder_store(folder or ".") for folder in folders}

    def read(number: int) -> RawExample:
        place = index.name(number)
        record = json_records.parse(index.read(number), place)
        in_images = False
        if isinstance(record, dict):
            in_images = json_records.text_in_images(record, place)
            record = record.get(_CONTENT)
        content = json_records.expect_list(record, dict, "the page", place)
        store = stores[os.path.dirname(index.path(number))]
        parts = _parts(content, store, options.text_field, options.image_field, place)
        return page_assembly.assemble(parts, page_assembly.BETWEEN_PARAGRAPHS, place, in_images)

    return page_assembly.source(dataset, read, index.num_lines, problems)


def _parts(
    content: Sequence[Mapping[str, Any]],
    store: ImageStore,
    text_field: str,
    image_field: str,
    place: str,
) -> Iterator[str | EncodedImage]:
    """Texts and pictures of a page in order, without missing pictures."""
    for number, item in enumerate(content):
        if (text_field in item) == (image_field in item):
            detail = f"item {number}: expected either {text_field!r} or {image_field!r}"
            raise BadSample(Reason.BROKEN_RECORD, place, detail)
        if text_field in item:
            yield json_records.expect(item[text_field], str, f"{text_field} {number}", place)
            continue
        name = json_records.expect(item[image_field], str, f"{image_field} {number}", place)
        if data := store.read(name, place):
            yield EncodedImage(data=data, name=f"{place}: {name}")
