"""Pages as lines of JSON, with pictures as files: the form to bring one's own pages in.

A line is a list of `{"text": "..."}` and `{"image": "cat.jpg"}` in reading order, or an object with
that list as its `content`. See `docs/data/interleaved.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.image_store import ImageStore
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.sources import json_records, page_assembly
from flamingo_jax.data.sources.media_lines import open_media_lines
from flamingo_jax.data.sources.source import RawExample, Source

_CONTENT = "content"


def source(dataset: DatasetConfig) -> Source:
    """The pages of text files with a page a line.

    Raises:
        UserError: no files, no lines, or no folder of pictures.
    """
    lines, options = open_media_lines(dataset), dataset.options

    def read(number: int) -> RawExample:
        place = lines.index.name(number)
        record = json_records.parse(lines.index.read(number), place)
        in_images = False
        if isinstance(record, dict):
            in_images = json_records.text_in_images(record, place)
            record = record.get(_CONTENT)
        content = json_records.expect_list(record, dict, "the page", place)
        parts = _parts(content, lines.store(number), options.text_field, options.image_field, place)
        return page_assembly.assemble(parts, page_assembly.BETWEEN_PARAGRAPHS, place, in_images)

    return page_assembly.source(dataset, read, lines.index.num_lines, lines.problems)


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
