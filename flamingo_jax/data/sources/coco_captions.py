"""COCO's captions: `captions_train2014.json` and a folder, or tar shards, of its pictures.

An example is one caption with its picture, so a picture with five captions is in five examples.
See `docs/data/pairs.md`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files, image_store
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.image_store import ImageStore
from flamingo_jax.data.sources.pair import encoded_image, pair_source, text_of
from flamingo_jax.data.sources.source import RawExample, Source

_NO_IMAGE = -1


def source(dataset: DatasetConfig) -> Source:
    """The captions of the files in `dataset.paths`, with pictures out of `options.images`.

    Raises:
        UserError: a file is missing or not of this form, or there is no place with pictures.
    """
    field = f"config.data[{dataset.name}]"
    paths = files.expand(dataset.paths, dataset.data_dir, f"{field}.paths")
    images = image_store.open_image_store(
        dataset.options.images,
        dataset.data_dir,
        dataset.options.index_dir,
        f"{field}.options.images",
    )
    tables = [_Captions(path, f"{field}.paths") for path in paths]
    ends = np.cumsum([len(table) for table in tables], dtype=np.int64)
    if not ends[-1]:
        raise UserError(f"{field}.paths: no annotation in {', '.join(paths)}")

    def read(n: int) -> RawExample:
        number = int(np.searchsorted(ends, n, side="right"))
        return tables[number].read(n - (int(ends[number - 1]) if number else 0), images)

    return pair_source(dataset, read, int(ends[-1]), problems=images.problems)


class _Captions:
    """The captions of one file: text as one run of bytes, the rest as numbers."""

    def __init__(self, path: str, field: str) -> None:
        """Reads a file. Raises UserError if it is not one of COCO's captions."""
        self._name = os.path.basename(path)
        content = _load(path, field)
        place = f"{field}: {path!r}"
        numbers: dict[Any, int] = {}
        file_names = []
        for number, image in enumerate(_list(content, "images", place)):
            _check_fields(image, ("id", "file_name"), f"{place}: images[{number}]")
            if numbers.setdefault(image["id"], number) != number:
                raise UserError(f"{place}: two images have the id {image['id']!r}")
            file_names.append(image["file_name"])
        annotations = _list(content, "annotations", place)
        for number, annotation in enumerate(annotations):
            _check_fields(annotation, ("image_id", "caption"), f"{place}: annotations[{number}]")
        self._file_names = tuple(file_names)
        # Joined by id: the order of the two lists means nothing.
        joined = [numbers.get(annotation["image_id"], _NO_IMAGE) for annotation in annotations]
        self._image_numbers = np.asarray(joined, np.int32)
        captions = [
            annotation["caption"].encode("utf-8", "surrogatepass") for annotation in annotations
        ]
        self._text = b"".join(captions)
        self._text_ends = np.cumsum([len(caption) for caption in captions], dtype=np.int64)
        self._unknown_ids = {
            number: annotations[number]["image_id"]
            for number in np.flatnonzero(self._image_numbers == _NO_IMAGE).tolist()
        }

    def __len__(self) -> int:
        return len(self._image_numbers)

    def read(self, number: int, images: ImageStore) -> RawExample:
        """Caption `number` with its picture. Raises BadSample."""
        name = f"{self._name}: annotations[{number}]"
        if number in self._unknown_ids:
            detail = f"no image has the id {self._unknown_ids[number]!r}"
            raise BadSample(Reason.BROKEN_RECORD, name, detail)
        start = int(self._text_ends[number - 1]) if number else 0
        text = text_of(self._text[start : int(self._text_ends[number])], name)
        file_name = self._file_names[int(self._image_numbers[number])]
        return RawExample(chunks=("", text), media=(encoded_image(images, file_name, name),))


def _load(path: str, field: str) -> Mapping[str, Any]:
    try:
        content = json.loads(files.read_bytes(path))
    except OSError as error:
        raise UserError(f"{field}: cannot read {path!r}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{field}: {path!r} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise UserError(
            f"{field}: {path!r} holds a {type(content).__name__}: expected COCO's captions,"
            ' {"images": [...], "annotations": [...]}'
        )
    return content


def _list(content: Mapping[str, Any], key: str, place: str) -> list[Any]:
    value = content.get(key)
    if not isinstance(value, list):
        raise UserError(
            f"{place} has no list {key!r}, only {', '.join(map(repr, sorted(content)))}: expected"
            " COCO's captions_*.json"
        )
    return value


def _check_fields(item: Any, fields: tuple[str, str], place: str) -> None:
    """Raises UserError unless both fields are there, the second of them text."""
    identity, text = fields
    if not isinstance(item, dict) or not isinstance(item.get(text), str):
        raise UserError(f"{place} has no text {text!r}: expected COCO's captions_*.json")
    if not isinstance(item.get(identity), int | str):
        raise UserError(f"{place} has no {identity!r}: expected COCO's captions_*.json")
