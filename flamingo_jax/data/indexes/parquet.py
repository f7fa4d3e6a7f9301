"""Rows of parquet files by number, out of row groups (see `row_groups`)."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.indexes import file_indexes
from flamingo_jax.data.indexes.file_indexes import Arrays, Kind, Report
from flamingo_jax.data.indexes.row_groups import MAX_KEPT_BYTES, RangeFile, RowGroup, RowGroups

STRINGS = "lists of strings"
BYTES = "lists of bytes"
_NULLS = "lists of nulls"  # What a column becomes that a writer has seen no value of.

_ROWS = "rows"
_COLUMNS = "columns"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Columns:
    """Columns to read, by name, with what they hold: `STRINGS` or `BYTES`, a list in every row.

    Attributes:
        required: columns that every file must have.
        optional: columns that a file may have; a row of a file without one has None there.
    """

    required: Mapping[str, str]
    optional: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def present(self, types: Mapping[str, str], path: str, field: str) -> tuple[str, ...]:
        """Which of them a file has.

        Args:
            types: {name: what it holds} of the file's columns.
            path: the file, for messages.
            field: the config's field, for messages.

        Raises:
            UserError: a required column is missing, or one is of another type.
        """
        names = []
        for name, expected in {**self.required, **self.optional}.items():
            if name not in types:
                if name in self.required:
                    raise UserError(
                        f"{field}: {path!r} has no column {name!r}: it has {', '.join(types)}"
                    )
                continue
            if types[name] not in (expected, _NULLS):
                raise UserError(
                    f"{field}: column {name!r} of {path!r} holds {types[name]}: expected {expected}"
                )
            names.append(name)
        return tuple(names)


class ParquetIndex:
    """Rows by number, over all files, from any thread.

    Attributes:
        num_rows: of all files.
        has_optional: whether any file has any of the optional columns.
        problems: missing files, and files that are not whole.
    """

    def __init__(
        self,
        groups: Sequence[RowGroup],
        num_rows: Sequence[int],
        columns: Columns,
        problems: tuple[BadSample, ...],
    ) -> None:
        """Use `open_parquet_index`."""
        self._groups = groups
        self._ends = np.cumsum(np.asarray(num_rows, np.int64))
        self._names = (*columns.required, *columns.optional)
        self._row_groups = RowGroups(MAX_KEPT_BYTES)
        self.num_rows = int(self._ends[-1]) if len(groups) else 0
        self.has_optional = any(set(group.columns) & set(columns.optional) for group in groups)
        self.problems = problems

    def name(self, index: int) -> str:
        """Where row `index` is: "train-00003.parquet: row 17", counted from 0."""
        group, row = self._find(index)
        path = self._groups[group].path
        earlier = group - self._groups[group].number
        start = int(self._ends[earlier - 1]) if earlier else 0
        row += (int(self._ends[group - 1]) if group else 0) - start
        return f"{os.path.basename(path)}: row {row}"

    def read(self, index: int) -> dict[str, Any]:
        """Row `index` as {column: value}, lists and strings of Python; None for a null.

        Raises:
            BadSample: the file is gone or broken.
        """
        # Takes a second to load; only parquet needs it.
        import pyarrow

        group, row = self._find(index)
        try:
            table = self._row_groups.get(self._groups[group])
            values = {name: table.column(name)[row].as_py() for name in table.column_names}
        except MemoryError:
            raise
        except FileNotFoundError as error:
            raise BadSample(Reason.MISSING_SHARD, self.name(index), str(error)) from error
        except UnicodeDecodeError as error:
            raise BadSample(Reason.NOT_UTF8, self.name(index), str(error)) from error
        except (OSError, ValueError, IndexError, pyarrow.ArrowException) as error:
            raise BadSample(Reason.BROKEN_RECORD, self.name(index), str(error)) from error
        return {name: values.get(name) for name in self._names}

    def _find(self, index: int) -> tuple[int, int]:
        """The row group of a row, and the row's number in it."""
        if not 0 <= index < self.num_rows:
            raise IndexError(f"row {index} of {self.num_rows}")
        group = int(np.searchsorted(self._ends, index, side="right"))
        return group, index - (int(self._ends[group - 1]) if group else 0)


def open_parquet_index(
    paths: Sequence[str], index_dir: str, field: str, columns: Columns
) -> ParquetIndex:
    """The rows of parquet files.

    Args:
        paths: the files, local or gs://.
        index_dir: folder of the indexes (see `file_indexes`).
        field: how messages name the files, such as "config.data[pages].paths".
        columns: what to read.

    Returns:
        The rows of the files that are there and whole, in the order of the files.

    Raises:
        UserError: most files are missing, or one has other columns.
    """
    indexes, problems = file_indexes.open_file_indexes(paths, index_dir, field, _KIND)
    groups, num_rows = [], []
    for index in indexes:
        if not len(index.arrays[_ROWS]):
            continue
        types = {str(name): str(kind) for name, kind in index.arrays[_COLUMNS]}
        names = columns.present(types, index.path, field)
        for number, rows in enumerate(index.arrays[_ROWS]):
            groups.append(RowGroup(path=index.path, number=number, columns=names))
            num_rows.append(int(rows))
    return ParquetIndex(groups, num_rows, columns, problems)


def _scan(path: str, num_bytes: int, report: Report) -> Arrays:
    """Rows of every row group, and what the columns hold."""
    del report  # The end of a file tells all.
    # Takes a second to load; only parquet needs it.
    import pyarrow
    from pyarrow import parquet

    rows: list[int] = []
    types: list[tuple[str, str]] = []
    problems = []
    try:
        with parquet.ParquetFile(RangeFile(path)) as file:
            metadata = file.metadata
            rows = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
            types = [(column.name, _held(column.type)) for column in file.schema_arrow]
    except pyarrow.ArrowInvalid as error:
        detail = f"not a whole parquet file: {num_bytes} bytes, {error}"
        problems = [(Reason.TRUNCATED_SHARD, os.path.basename(path), detail)]
    return {
        _ROWS: np.asarray(rows, np.int64),
        _COLUMNS: np.asarray(types, np.str_).reshape(len(types), 2),
        file_indexes.PROBLEMS: file_indexes.problem_rows(problems),
    }


def _held(kind: Any) -> str:
    """What a column of an Arrow type holds, in the words of `Columns`."""
    # Takes a second to load; only parquet needs it.
    from pyarrow import types

    if not (types.is_list(kind) or types.is_large_list(kind)):
        return str(kind)
    item = kind.value_type
    if types.is_string(item) or types.is_large_string(item):
        return STRINGS
    if types.is_binary(item) or types.is_large_binary(item):
        return BYTES
    return _NULLS if types.is_null(item) else str(kind)


_KIND = Kind(name="parquet-1", scan=_scan)
