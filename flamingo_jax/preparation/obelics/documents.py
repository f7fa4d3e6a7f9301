"""Documents of OBELICS: rows of parquet files, numbered over all files.

Columns: `images` and `texts`, lists of equal length of which exactly one has something at every
position; `metadata` and `general_metadata`, JSON as text.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flamingo_jax.core.errors import UserError

if TYPE_CHECKING:
    import pyarrow

_IMAGES, _TEXTS, _METADATA, _GENERAL = "images", "texts", "metadata", "general_metadata"
_ROWS_AT_ONCE = 128


@dataclasses.dataclass(frozen=True, kw_only=True)
class Document:
    """One web page as a list of texts and of pictures' URLs.

    Attributes:
        number: place among all rows of all files, from 0.
        images: URLs; None where a text stands.
        texts: None where a picture stands.
        metadata: what the page's pictures were, as in the column, decoded if it is JSON.
        general: what is known of the page, likewise.
        problem: what makes the row unusable; empty if nothing does.
    """

    number: int
    images: tuple[str | None, ...] = ()
    texts: tuple[str | None, ...] = ()
    metadata: Any = None
    general: Any = None
    problem: str = ""

    @property
    def url(self) -> str:
        """Where the page is from; empty if it is not told."""
        if isinstance(self.general, Mapping) and isinstance(self.general.get("url"), str):
            return str(self.general["url"])
        for item in self.metadata if isinstance(self.metadata, list) else []:
            if isinstance(item, Mapping) and isinstance(item.get("document_url"), str):
                return str(item["document_url"])
        return ""


class Documents:
    """The rows of parquet files by number.

    Attributes:
        files: (file name without folder, rows) of every file, in order.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        """Reads the footers of all files.

        Args:
            paths: the parquet files, local, in the order of their documents.

        Raises:
            UserError: a file is missing, is no parquet file or has other columns.
        """
        self._paths = tuple(paths)
        self.files = tuple((os.path.basename(path), _num_rows(path)) for path in paths)

    def __len__(self) -> int:
        """How many documents there are."""
        return sum(rows for _, rows in self.files)

    def read(self, start: int, stop: int) -> Iterator[Document]:
        """Documents `start` to `stop` - 1, in order.

        Raises:
            UserError: a file cannot be read any more.
        """
        first = 0
        for path, (_, num_rows) in zip(self._paths, self.files, strict=True):
            begin, end = max(start - first, 0), min(stop - first, num_rows)
            if begin < end:
                yield from _read_file(path, begin, end, first)
            first += num_rows


def _num_rows(path: str) -> int:
    import pyarrow as pa  # Takes a moment to load: not for a misspelt flag.
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            schema, num_rows = file.schema_arrow, int(file.metadata.num_rows)
    except FileNotFoundError:
        raise UserError(f"--input: {path} does not exist") from None
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"--input: {path} is no parquet file that can be read ({error})") from None
    for name in (_IMAGES, _TEXTS):
        if name not in schema.names:
            raise UserError(
                f"--input: {path} has no column {name!r}, only {', '.join(schema.names)}:"
                " expected the files of OBELICS"
            )
        kind = schema.field(name).type
        if not _is_list_of_strings(kind):
            raise UserError(
                f"--input: column {name!r} of {path} is {kind}: expected list<string>; files that"
                " hold the pictures need no preparation, source 'pages/obelics' reads them"
            )
    return num_rows


def _is_list_of_strings(kind: pyarrow.DataType) -> bool:
    import pyarrow.types as types

    if not (types.is_list(kind) or types.is_large_list(kind)):
        return False
    value = kind.value_type
    return bool(types.is_string(value) or types.is_large_string(value) or types.is_null(value))


def _read_file(path: str, begin: int, end: int, first: int) -> Iterator[Document]:
    """Rows `begin` to `end` - 1 of a file whose first row is document `first`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            groups, row = [], 0
            skipped = 0
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group).num_rows
                if row + size <= begin:
                    skipped += size
                elif row < end:
                    groups.append(group)
                row += size
            columns = [
                name
                for name in (_IMAGES, _TEXTS, _METADATA, _GENERAL)
                if name in file.schema_arrow.names
            ]
            row = skipped
            for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=groups, columns=columns):
                for place in range(batch.num_rows):
                    if begin <= row < end:
                        yield _document(batch, place, first + row)
                    row += 1
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"--input: {path} cannot be read ({error})") from error


def _document(batch: pyarrow.RecordBatch, place: int, number: int) -> Document:
    try:
        row = {name: batch.column(name)[place].as_py() for name in batch.schema.names}
    except UnicodeDecodeError as error:
        return Document(number=number, problem=f"a text is not UTF-8 ({error.reason})")
    images, texts = row[_IMAGES], row[_TEXTS]
    if images is None or texts is None:
        return Document(number=number, problem="no list of images or no list of texts")
    if len(images) != len(texts):
        return Document(
            number=number, problem=f"{len(images)} places of images, {len(texts)} of texts"
        )
    if any((image is None) == (text is None) for image, text in zip(images, texts, strict=True)):
        return Document(number=number, problem="a place without exactly one of image and text")
    return Document(
        number=number,
        images=tuple(images),
        texts=tuple(texts),
        metadata=_decoded(row.get(_METADATA)),
        general=_decoded(row.get(_GENERAL)),
    )


def _decoded(text: object) -> Any:
    """JSON as values; anything else as it is, for nothing depends on it."""
    if not isinstance(text, str):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
