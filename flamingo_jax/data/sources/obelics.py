"""OBELICS: web pages as two lists of equal length, texts and pictures, in the order of the page.

At every position either a text or a picture stands, the other list has null there. Two layouts are
read: tar shards with the pictures (what `flamingo_jax.prepare obelics` writes), and the parquet
files as published, which have URLs of pictures only. See `docs/data/interleaved.md`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files, image_store
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.image_store import ImageStore
from flamingo_jax.data.indexes import parquet
from flamingo_jax.data.indexes.tar import TarIndex, open_tar_index
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.sources import json_records, page_assembly
from flamingo_jax.data.sources.source import RawExample, Source

TEXTS = "texts"
IMAGES = "images"
IMAGE_BYTES = "images_bytes"
"""Column of parquet files that have the pictures themselves, beside `images`."""

RECORD_SUFFIX = "json"
_NAME_DIGITS = 32
# Position without zeros in front, then the kind of the file.
_PICTURE_SUFFIX = re.compile(r"(0|[1-9][0-9]*)\.(?:jpg|jpeg|png|webp|gif)")

Load = Callable[[int, str], bytes | None]
"""(position on the page, what `images` has there) -> the bytes of the picture, None if missing."""


def source(dataset: DatasetConfig) -> Source:
    """The pages of OBELICS, or of any files of its form.

    Raises:
        UserError: no files, files of both layouts, of other columns, or without pictures.
    """
    field = f"config.data[{dataset.name}]"
    paths = files.expand(dataset.paths, dataset.data_dir, f"{field}.paths")
    if all(path.endswith(".tar") for path in paths):
        return _tar_source(dataset, paths, field)
    if all(path.endswith(".parquet") for path in paths):
        return _parquet_source(dataset, paths, field)
    raise UserError(
        f"{field}.paths has {paths[0]!r}: expected files that all end with .tar or all with"
        f" .parquet for {dataset.source!r}"
    )


def image_name(url: str) -> str:
    """Name of the picture of a URL in a folder or tar store: half of its sha256 in hex, `.jpg`."""
    digest = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{digest[:_NAME_DIGITS]}.jpg"


def _tar_source(dataset: DatasetConfig, paths: tuple[str, ...], field: str) -> Source:
    if dataset.options.images:
        raise UserError(
            f"{field}.options.images is {dataset.options.images!r}: expected nothing, for tar"
            f" shards of {dataset.source!r} have their pictures beside the pages"
        )
    index = open_tar_index(paths, dataset.options.index_dir, f"{field}.paths")

    def read(number: int) -> RawExample:
        place, data = index.read_named(number, RECORD_SUFFIX)
        record = json_records.parse_object(data, place)
        parts = _parts(record.get(TEXTS), record.get(IMAGES), _members(index, number), place)
        in_images = json_records.text_in_images(record, place)
        return page_assembly.assemble(parts, page_assembly.BETWEEN_PARAGRAPHS, place, in_images)

    return page_assembly.source(dataset, read, index.num_samples, index.problems)


def _members(index: TarIndex, number: int) -> Load:
    """The pictures of a page that are members of its shard."""
    suffix_of = {
        int(found[1]): suffix
        for suffix in index.suffixes(number)
        if (found := _PICTURE_SUFFIX.fullmatch(suffix))
    }

    def load(position: int, url: str) -> bytes | None:
        del url
        suffix = suffix_of.get(position)
        return index.read(number, suffix) if suffix else None

    return load


def _parquet_source(dataset: DatasetConfig, paths: tuple[str, ...], field: str) -> Source:
    options = dataset.options
    columns = parquet.Columns(
        required={TEXTS: parquet.STRINGS, IMAGES: parquet.STRINGS},
        optional={IMAGE_BYTES: parquet.BYTES},
    )
    index = parquet.open_parquet_index(paths, options.index_dir, f"{field}.paths", columns)
    store = None
    if options.images or not index.has_optional:
        store = image_store.open_image_store(
            options.images, dataset.data_dir, options.index_dir, f"{field}.options.images"
        )

    def read(number: int) -> RawExample:
        place = index.name(number)
        row = index.read(number)
        load = _cells(row[IMAGE_BYTES], store, place)
        parts = _parts(row[TEXTS], row[IMAGES], load, place)
        return page_assembly.assemble(parts, page_assembly.BETWEEN_PARAGRAPHS, place)

    problems = index.problems + (store.problems if store else ())
    return page_assembly.source(dataset, read, index.num_rows, problems)


def _cells(cells: list[bytes | None] | None, store: ImageStore | None, place: str) -> Load:
    """The pictures of a row: from its own column, else from the store."""

    def load(position: int, url: str) -> bytes | None:
        if cells is not None:
            if position >= len(cells):
                detail = f"{IMAGE_BYTES} has {len(cells)} items: expected as many as {IMAGES}"
                raise BadSample(Reason.BROKEN_RECORD, place, detail)
            if cells[position]:
                return cells[position]
        return store.read(image_name(url), place) if store else None

    return load


def _parts(texts: Any, urls: Any, load: Load, place: str) -> Iterator[str | EncodedImage]:
    """Texts and pictures of a page in order, without missing pictures.

    Raises:
        BadSample: `BROKEN_RECORD`, the lists are not what they should be.
    """
    texts = json_records.expect_list_with_nulls(texts, str, TEXTS, place)
    urls = json_records.expect_list_with_nulls(urls, str, IMAGES, place)
    if len(texts) != len(urls):
        detail = f"{len(texts)} {TEXTS} and {len(urls)} {IMAGES}: expected as many of both"
        raise BadSample(Reason.BROKEN_RECORD, place, detail)
    for position, (text, url) in enumerate(zip(texts, urls, strict=True)):
        if (text is None) == (url is None):
            detail = f"position {position}: expected either a text or a picture"
            raise BadSample(Reason.BROKEN_RECORD, place, detail)
        if text is not None:
            yield text
        elif data := load(position, url):
            yield EncodedImage(data=data, name=f"{place}: image {position}")
