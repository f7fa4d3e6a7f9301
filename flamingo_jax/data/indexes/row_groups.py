"""Row groups of parquet files: the least that can be read of one, a few hundred or thousand rows.

Those that were read last are kept, so reading rows in order is fast; reading them in random order
reads a whole row group for nearly every row.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import io
import threading
from typing import Any

from flamingo_jax.data import files

MAX_KEPT_BYTES = 512 * 2**20
"""Row groups are kept up to this size together; one is kept whatever its size."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowGroup:
    """Where a row group is: file, number within the file, columns to read of it."""

    path: str
    number: int
    columns: tuple[str, ...]


def load(group: RowGroup) -> Any:
    """The table of a row group. Raises OSError, or an error of pyarrow if the file is broken."""
    # Takes a second to load; only parquet needs it.
    from pyarrow import parquet

    # One thread: the readers of the examples are already many.
    with parquet.ParquetFile(RangeFile(group.path)) as file:
        return file.read_row_group(group.number, list(group.columns), use_threads=False)


class RowGroups:
    """Tables that were read last, up to a size; no table is read by two threads at once."""

    def __init__(self, max_bytes: int) -> None:
        """Keeps tables of `max_bytes` together, and one whatever its size."""
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._tables: collections.OrderedDict[RowGroup, concurrent.futures.Future[Any]] = (
            collections.OrderedDict()
        )
        self._num_bytes: dict[RowGroup, int] = {}

    def get(self, group: RowGroup) -> Any:
        """The table of a row group; raises as `load`."""
        with self._lock:
            future = self._tables.get(group)
            is_new = future is None
            if future is None:
                future = self._tables[group] = concurrent.futures.Future()
            self._tables.move_to_end(group)
        if is_new:
            self._fill(group, future)
        return future.result()

    def _fill(self, group: RowGroup, future: concurrent.futures.Future[Any]) -> None:
        try:
            table = load(group)
        except BaseException as error:
            with self._lock:
                del self._tables[group]
            future.set_exception(error)
            raise
        with self._lock:
            self._num_bytes[group] = table.nbytes
            oldest = [key for key in self._tables if key in self._num_bytes and key != group]
            for key in oldest:
                if sum(self._num_bytes.values()) <= self._max_bytes:
                    break
                del self._tables[key], self._num_bytes[key]
        future.set_result(table)


class RangeFile(io.RawIOBase):
    """A file for pyarrow, local or gs://, with a position of its own."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._size = files.size(path)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        data = files.read_range(self._path, self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
