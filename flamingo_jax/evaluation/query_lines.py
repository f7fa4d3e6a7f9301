"""Files with a line of JSON for each query, written as queries are asked.

A run that was stopped goes on where it was: an unfinished last line is cut off, and queries that
have a line are passed over.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

from flamingo_jax.core.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class QueryLine:
    """What every line has.

    Attributes:
      query: its id.
      index: its place in the order in which queries are asked.
    """

    query: str
    index: int


Line = TypeVar("Line", bound=QueryLine)


class QueryLines(Generic[Line]):
    """A file of lines, and which queries have one."""

    def __init__(self, path: Path, read: Callable[[Path], Iterator[Line]]) -> None:
        """Opens the file, or makes it.

        Args:
          path: the file; its folder is there.
          read: gives the lines of a file.

        Raises:
          UserError: the file is damaged.
        """
        self.path = path
        if not path.exists():
            path.touch()
        _cut_off_unfinished_line(path)
        self._answered = {line.query for line in read(path)}

    @property
    def answered(self) -> frozenset[str]:
        """The ids of the queries that have a line."""
        return frozenset(self._answered)

    def lacks(self, queries: Iterable[str]) -> bool:
        """Whether one of the queries has no line."""
        return any(query not in self._answered for query in queries)

    def append(self, lines: Iterable[Line]) -> None:
        """Adds lines, each of which is in the file when the next one is begun.

        Queries that have a line are passed over.

        Raises:
          UserError: the model gave a number that is none (NaN).
        """
        with self.path.open("ab") as file:
            for line in lines:
                if line.query in self._answered:
                    continue
                file.write(_as_text(line).encode())
                file.flush()
                self._answered.add(line.query)
            os.fsync(file.fileno())


def read_lines(path: Path, parse: Callable[[dict[str, Any]], Line], kind: str) -> Iterator[Line]:
    """The lines of a file in their order; an unfinished last one is passed over.

    Args:
      path: the file.
      parse: makes a line of the fields that it is written with.
      kind: of the lines, for messages.

    Raises:
      UserError: a finished line is none of the kind, or a query has two.
    """
    seen: set[str] = set()
    with path.open("rb") as file:
        for number, text in enumerate(file, start=1):
            if not text.endswith(b"\n"):
                return
            try:
                line = parse(json.loads(text))
            except (ValueError, TypeError, AttributeError) as error:
                raise UserError(f"{path} line {number} is no {kind} ({error})") from None
            if line.query in seen:
                raise UserError(f"{path} line {number}: query {line.query!r} has two lines")
            seen.add(line.query)
            yield line


def check_fields(fields: dict[str, Any], line: type[QueryLine]) -> None:
    """Checks that a line has all the fields of its dataclass, and no others.

    Raises:
      ValueError: it has not.
    """
    if set(fields) != {field.name for field in dataclasses.fields(line)}:
        raise ValueError(f"its fields are {', '.join(sorted(fields))}")


def _as_text(line: QueryLine) -> str:
    try:
        return json.dumps(dataclasses.asdict(line), allow_nan=False) + "\n"
    except ValueError:
        raise UserError(
            f"the model's log-likelihoods for query {line.query!r} are not finite: its parameters"
            " or its precision are broken"
        ) from None


def _cut_off_unfinished_line(path: Path) -> None:
    with path.open("rb") as file:
        finished = sum(len(line) for line in file if line.endswith(b"\n"))
    if finished < path.stat().st_size:
        os.truncate(path, finished)
