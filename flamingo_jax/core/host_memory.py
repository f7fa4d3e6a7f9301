"""What becomes of memory that this process has freed.

Nothing happens where the C library is not glibc.
"""

from __future__ import annotations

import ctypes
import functools
import sys

import jax

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER_TRIM, _NEVER_MAP = -1, 0


def give_back_freed_memory() -> None:
    """Gives the system the memory that this process has freed and still holds.

    XLA's compiler leaves hundreds of megabytes behind in glibc's arenas, which the step that it
    compiled never uses: they would count as the run's for its whole length.
    """
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def keep_freed_memory() -> None:
    """From now on keeps large blocks that the main thread frees, for the next one it asks for.

    A step on CPU takes its temporary arrays as one block and frees it at its end. glibc maps such a
    block anew for each step, and the system fills its pages with zeros: an eighth of the step's
    time and more (benchmarks/README.md). Blocks of other threads cannot be kept: see
    `compute_in_calling_thread`.
    """
    library = _glibc()
    if library is not None:
        library.mallopt(_M_MMAP_MAX, _NEVER_MAP)
        library.mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIM)


def compute_in_calling_thread() -> None:
    """Has JAX compute on CPU in the thread that asks for it, which then waits for the result.

    It must be called before JAX's first computation; later it does nothing.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None
