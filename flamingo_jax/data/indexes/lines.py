"""Text files with random access: line n of many files."""

from __future__ import annotations

import array
import codecs
import os
from collections.abc import Sequence

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import BadSample
from flamingo_jax.data.indexes import file_indexes
from flamingo_jax.data.indexes.file_indexes import FileIndex, Kind, Report, smallest

_LINES_BETWEEN_REPORTS = 4096


class LineIndex:
    """Lines of text files by number, in the order of the files; empty lines do not count.

    Attributes:
        num_lines: how many there are.
        problems: missing files.
    """

    def __init__(self, indexes: Sequence[FileIndex], problems: tuple[BadSample, ...]) -> None:
        """Use `open_line_index`."""
        self._files = indexes
        self._ends = np.cumsum([len(index.arrays["starts"]) for index in indexes], dtype=np.int64)
        self.num_lines = int(self._ends[-1])
        self.problems = problems

    def read(self, n: int) -> bytes:
        """Line n without the line break. Raises BadSample if the file is not what was indexed."""
        index, line = self._place(n)
        start, length = (int(index.arrays[name][line]) for name in ("starts", "lengths"))
        place = f"{os.path.basename(index.path)}: byte {start}"
        return file_indexes.read_exactly(index.path, start, length, place)

    def name(self, n: int) -> str:
        """What line n is called in messages: "pages.jsonl: line 12", counted as editors do."""
        index, line = self._place(n)
        # Empty line number e (from 1), the j-th of them, has e - 1 - j other lines before it.
        empty = index.arrays["empty_lines"]
        lines_before = empty - 1 - np.arange(len(empty))
        num_empty = int(np.searchsorted(lines_before, line, side="right"))
        return f"{os.path.basename(index.path)}: line {line + num_empty + 1}"

    def path(self, n: int) -> str:
        """The file that line n stands in."""
        return self._place(n)[0].path

    def _place(self, n: int) -> tuple[FileIndex, int]:
        if not 0 <= n < self.num_lines:
            raise IndexError(f"line {n} of {self.num_lines}")
        number = int(np.searchsorted(self._ends, n, side="right"))
        return self._files[number], n - (int(self._ends[number - 1]) if number else 0)


def open_line_index(paths: Sequence[str], index_dir: str, field: str) -> LineIndex:
    """The lines of text files.

    Args:
        paths: the files, as `files.expand` gives them.
        index_dir: folder of the indexes, as in `open_tar_index`.
        field: how messages name the files, such as "config.data[pages].paths".

    Returns:
        Their index. A byte-order mark at the beginning of a file is left out.

    Raises:
        UserError: more than half of the files are missing, all lines are empty, or a file is
            compressed or cannot be read.
    """
    indexes, problems = file_indexes.open_file_indexes(paths, index_dir, field, _KIND)
    if not any(len(index.arrays["starts"]) for index in indexes):
        raise UserError(f"{field}: no line in {len(paths)} files from {paths[0]!r} on")
    return LineIndex(indexes, problems)


def _scan(path: str, num_bytes: int, report: Report) -> file_indexes.Arrays:
    del num_bytes
    starts, lengths, empty_lines = (array.array("q") for _ in range(3))
    offset = reported = 0
    with files.open_binary(path) as file:
        for number, line in enumerate(file, start=1):
            content = line.rstrip(b"\r\n")
            if number == 1:
                content = content.removeprefix(codecs.BOM_UTF8)
            if content and not content.isspace():
                starts.append(offset + line.index(content))
                lengths.append(len(content))
            else:
                empty_lines.append(number)
            offset += len(line)
            if number % _LINES_BETWEEN_REPORTS == 0:
                report(offset - reported)
                reported = offset
    return {
        "starts": np.asarray(starts, np.int64),
        "lengths": smallest(np.asarray(lengths, np.int64)),
        "empty_lines": np.asarray(empty_lines, np.int64),
    }


_KIND = Kind(name="lines-1", scan=_scan)
