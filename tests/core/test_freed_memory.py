"""Freed memory goes back to the system."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import pytest

from flamingo_jax.core import freed_memory

_PIECE, _NUM_PIECES = 64 * 1024, 2000  # Each below the size that malloc maps on its own.


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc keeps freed memory")
def test_freed_pieces_leave_the_process() -> None:
    if freed_memory._malloc_trim() is None:
        pytest.skip("this C library has no malloc_trim")
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.free.argtypes = [ctypes.c_void_p]
    pieces = [library.malloc(_PIECE) for _ in range(_NUM_PIECES)]
    for piece in pieces:
        ctypes.memset(piece, 1, _PIECE)
    # The last piece stays: what lies below it cannot leave through the end of the heap alone.
    for piece in pieces[:-1]:
        library.free(piece)
    before = _resident_bytes()
    freed_memory.give_back_freed_memory()
    assert before - _resident_bytes() > 0.8 * _PIECE * _NUM_PIECES
    library.free(pieces[-1])


def test_all_is_given_back_where_the_c_library_can(monkeypatch: pytest.MonkeyPatch) -> None:
    kept_bytes: list[int] = []

    def trim(num_bytes: int) -> int:
        kept_bytes.append(num_bytes)
        return 1

    monkeypatch.setattr(freed_memory, "_malloc_trim", lambda: trim)
    freed_memory.give_back_freed_memory()
    assert kept_bytes == [0]


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    freed_memory._malloc_trim.cache_clear()
    monkeypatch.setattr(freed_memory.sys, "platform", "darwin")
    assert freed_memory._malloc_trim() is None
    freed_memory.give_back_freed_memory()
    freed_memory._malloc_trim.cache_clear()
