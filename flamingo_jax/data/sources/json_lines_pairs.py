"""Pictures with texts as lines of JSON: the form to bring one's own pairs in.

    {"image": "photos/cat.jpg", "text": "A cat on a mat."}

See `docs/data/pairs.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.sources import json_records
from flamingo_jax.data.sources.media_lines import MediaLines, open_media_lines
from flamingo_jax.data.sources.pair import encoded_image, pair_source, text_of
from flamingo_jax.data.sources.source import RawExample, Source


def source(dataset: DatasetConfig) -> Source:
    """The lines of the files in `dataset.paths`.

    Raises:
        UserError: no file, no line, or no place with pictures.
    """
    lines, options = open_media_lines(dataset), dataset.options

    def read(n: int) -> RawExample:
        return _read(lines, n, options.image_field, options.text_field)

    return pair_source(dataset, read, lines.index.num_lines, lines.problems)


def _read(lines: MediaLines, n: int, image_field: str, text_field: str) -> RawExample:
    name = lines.index.name(n)
    record = json_records.parse_object(lines.index.read(n), name)
    file_name = _value(record, image_field, Reason.MISSING_MEDIA, "image_field", name)
    text = _value(record, text_field, Reason.MISSING_TEXT, "text_field", name)
    return RawExample(
        chunks=("", text_of(text, name)),
        media=(encoded_image(lines.store(n), file_name, name),),
        text_in_images=json_records.text_in_images(record, name),
    )


def _value(record: Mapping[str, Any], key: str, missing: Reason, option: str, name: str) -> str:
    """A field of text. Raises BadSample, for a misspelt field with those that there are."""
    value = record.get(key)
    if value is None:
        there = ", ".join(map(repr, record)) or "none"
        detail = f"no field {key!r}, which options.{option} names; its fields: {there}"
        raise BadSample(missing, name, detail)
    return json_records.expect(value, str, f"field {key!r}", name)
