"""Tables in CSV: rows by the names of their columns, as pandas writes and reads them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import records
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder

Row = Mapping[str, str]

# No float() of whatever it takes: "1_0", "nan" and other alphabets' digits are no times.
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]+)?")


def read_rows(
    here: BenchmarkFolder, name: str, columns: Sequence[str]
) -> Iterator[tuple[str, Row]]:
    """The rows of a table, each behind its place for messages.

    Fields may be quoted, and then have commas, quotes ("" for each) and line breaks. Empty lines
    are no rows.

    Args:
      here: the benchmark's folder.
      name: of the file.
      columns: those that must be there, in any order; others may be there too.

    Yields:
      Place, and the text of every column without outer white space.

    Raises:
      UserError: the file is missing, is no such table, lacks a column, or a row has too few or too
        many fields.
    """
    place = here.place(name)
    # Quotes that are not closed would swallow the rest of the file: `strict` refuses them.
    reader = csv.DictReader(io.StringIO(here.read_text(name), newline=""), strict=True)
    try:
        header = reader.fieldnames or ()
        for column in columns:
            if column not in header:
                raise UserError(f"{place} has no column {column!r}; its columns are {list(header)}")
        for row in reader:
            where = f"{place} line {reader.line_num}"
            # DictReader fills short rows with None, and puts what is too much under None.
            if None in row or None in row.values():
                raise UserError(f"{where} does not have one field for each of {list(header)}")
            yield where, {column: records.clean(row[column], column, where) for column in header}
    except csv.Error as error:
        raise UserError(f"{place} line {reader.line_num} is no row of a table ({error})") from None


def number(row: Row, column: str, place: str) -> float:
    """The number in a field, 0 or more.

    Raises:
      UserError: it is something else.
    """
    if not _NUMBER.fullmatch(row[column]):
        raise UserError(f"{place}: {column} is {row[column]!r:.60}; expected a number, 0 or more")
    return float(row[column])


def whole_number(row: Row, column: str, below: int, place: str) -> int:
    """The whole number in a field, from 0 to `below` - 1.

    Raises:
      UserError: it is something else.
    """
    value = number(row, column, place)
    return records.in_range(int(value) if value.is_integer() else value, column, below, place)


def identifier(row: Row, column: str, place: str) -> str:
    """The text of a field that must not be empty.

    Raises:
      UserError: it is.
    """
    if not row[column]:
        raise UserError(f"{place}: {column} is empty")
    return row[column]
