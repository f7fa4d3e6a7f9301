"""Local files that stay open between reads, shared by threads."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import threading
from collections.abc import Iterator


@dataclasses.dataclass(kw_only=True)
class _OpenFile:
    """An open file, how many threads read it now, and whether it is still kept for others."""

    descriptor: int
    num_readers: int = 0
    is_kept: bool = True


class OpenFiles:
    """The files that were read last, kept open for all threads.

    A file that has to go is closed by its last reader, so that no thread ever reads from a
    descriptor that has come to mean another file.
    """

    def __init__(self, max_open: int) -> None:
        """Keeps at most `max_open` files open, beside those that are being read."""
        self._max_open = max_open
        self._kept: collections.OrderedDict[str, _OpenFile] = collections.OrderedDict()
        self._renew_lock()
        # A child process would inherit a lock that some thread held, and wait for ever.
        os.register_at_fork(after_in_child=self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def lend(self, path: str) -> Iterator[int]:
        """The descriptor of a file, valid inside the `with` statement.

        Read with `os.pread`: the file's own position belongs to all threads. Raises OSError.
        """
        file = self._take(path)
        try:
            yield file.descriptor
        finally:
            with self._lock:
                file.num_readers -= 1
                self._close_if_unused(file)

    def forget(self, path: str) -> None:
        """Closes a file, after its last reader; the next one opens it anew."""
        with self._lock:
            if file := self._kept.pop(path, None):
                file.is_kept = False
                self._close_if_unused(file)

    def _take(self, path: str) -> _OpenFile:
        with self._lock:
            if file := self._kept.get(path):
                self._kept.move_to_end(path)
                file.num_readers += 1
                return file
        # Opening may take long on a network's disk: other files are read meanwhile.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with self._lock:
            if file := self._kept.get(path):  # Another thread was faster.
                os.close(descriptor)
            else:
                file = self._kept[path] = _OpenFile(descriptor=descriptor)
            file.num_readers += 1
            while len(self._kept) > self._max_open:
                _, oldest = self._kept.popitem(last=False)
                oldest.is_kept = False
                self._close_if_unused(oldest)
            return file

    def _close_if_unused(self, file: _OpenFile) -> None:
        if not file.is_kept and not file.num_readers:
            os.close(file.descriptor)
