"""Memory that was freed and that the C library keeps for itself."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable


def give_back_freed_memory() -> None:
    """Gives the system the memory that this process has freed and still holds.

    XLA's compiler leaves hundreds of megabytes behind in glibc's arenas, which the step that it
    compiled never uses: they would count as the run's for its whole length. Nothing happens where
    the C library is another one.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
