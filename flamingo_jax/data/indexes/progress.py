"""How far the indexing of files is, for whoever waits for it."""

from __future__ import annotations

import sys
import threading
import time

QUIET_SECONDS = 10.0
"""Nothing is said before this, nor more often than this."""


class Progress:
    """Counts bytes over all threads; says on stderr how many are left once it has taken a while."""

    def __init__(self, num_bytes: int) -> None:
        """Starts to measure the time that `num_bytes` take."""
        self._num_bytes = num_bytes
        self._num_done = 0
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._next_line = self._start + QUIET_SECONDS

    def leave_out(self, num_bytes: int) -> None:
        """Takes bytes out that need no work, so that they do not count as fast work."""
        with self._lock:
            self._num_bytes -= num_bytes

    def report(self, num_bytes: int) -> None:
        """Adds bytes that are done."""
        with self._lock:
            self._num_done += num_bytes
            now = time.monotonic()
            if now < self._next_line or not self._num_done:
                return
            self._next_line = now + QUIET_SECONDS
            share = min(self._num_done / self._num_bytes, 1.0) if self._num_bytes > 0 else 1.0
            seconds = (now - self._start) * (1 / share - 1)
        left = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
        print(
            f"indexing {self._num_bytes / 1e9:.1f} GB: {share:.0%} done, {left} left",
            file=sys.stderr,
            flush=True,
        )
