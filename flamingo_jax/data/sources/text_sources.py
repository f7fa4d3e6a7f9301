"""Text alone out of files: for the language model, and for Flamingo where it learns text beside.

A document is a file (`text/files`), a line of JSON (`text/json_lines`) or an example of TFDS
(`text/tfds`). See `docs/data/text.md`.
"""

from __future__ import annotations

from collections.abc import Callable

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.indexes.lines import open_line_index
from flamingo_jax.data.sources import json_records, tfds_examples
from flamingo_jax.data.sources.pair import text_of
from flamingo_jax.data.sources.source import Content, RawExample, Source

MAX_FILE_BYTES = 64 << 20
"""A document is read whole for every part of it that is learned from; a larger one is refused."""


def text_source(
    dataset: DatasetConfig,
    read: Callable[[int], str],
    num_examples: int,
    problems: tuple[BadSample, ...] = (),
) -> Source:
    """A source of documents.

    Args:
        dataset: the dataset's config.
        read: the text of document n, of 0 to `num_examples` - 1. Raises BadSample.
        num_examples: how many there are.
        problems: what was found wrong at opening.
    """
    return Source(
        name=dataset.source,
        content=Content.LONG_TEXT,
        read=lambda n: RawExample(chunks=(read(n),)),
        num_examples=num_examples,
        problems=problems,
    )


def text_files(dataset: DatasetConfig) -> Source:
    """The files that `dataset.paths` names, each of them a document.

    Raises:
        UserError: a pattern that finds no file.
    """
    field = f"config.data[{dataset.name}].paths"
    paths = files.expand(dataset.paths, dataset.data_dir, field)
    return text_source(dataset, lambda n: text_of(_read_file(paths[n]), paths[n]), len(paths))


def _read_file(path: str) -> bytes:
    """The content of a file. Raises BadSample."""
    try:
        num_bytes = files.size(path)
        if num_bytes > MAX_FILE_BYTES:
            detail = (
                f"{num_bytes:,} bytes are more than {MAX_FILE_BYTES:,} for one document: write the"
                " documents in it as lines of JSON, for text/json_lines"
            )
            raise BadSample(Reason.BROKEN_RECORD, path, detail)
        return files.read_bytes(path)
    except FileNotFoundError as error:
        raise BadSample(Reason.MISSING_TEXT, path, str(error)) from error
    except OSError as error:
        raise BadSample(Reason.BROKEN_RECORD, path, str(error)) from error


def tfds(dataset: DatasetConfig) -> Source:
    """The dataset of TFDS that `dataset.paths` names; `options.text_field` is its feature.

    Raises:
        UserError: it is not prepared, not stored as TFRecord, or has no such split or feature.
    """
    prepared = tfds_examples.open_prepared(dataset)
    read_text, index = prepared.text_reader(), prepared.open_index()

    def read(n: int) -> str:
        return read_text(tfds_examples.values_of(index, n), index.name(n))

    return text_source(dataset, read, index.num_records, index.problems)


def json_lines(dataset: DatasetConfig) -> Source:
    """The lines of the files in `dataset.paths`: field `options.text_field` of each is a document.

    Raises:
        UserError: no file or no line.
    """
    field, key = f"config.data[{dataset.name}].paths", dataset.options.text_field
    paths = files.expand(dataset.paths, dataset.data_dir, field)
    index = open_line_index(paths, dataset.options.index_dir, field)

    def read(n: int) -> str:
        name = index.name(n)
        record = json_records.parse_object(index.read(n), name)
        if record.get(key) is None:
            there = ", ".join(map(repr, record)) or "none"
            detail = f"no field {key!r}, which options.text_field names; its fields: {there}"
            raise BadSample(Reason.MISSING_TEXT, name, detail)
        return text_of(record[key], name)

    return text_source(dataset, read, index.num_lines, index.problems)
