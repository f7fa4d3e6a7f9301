"""Freed memory goes back to the system, or stays for the next step."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flamingo_jax.core import host_memory

_PIECE, _NUM_PIECES = 64 * 1024, 2000  # Each below the size that malloc maps on its own.


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc keeps freed memory")
def test_freed_pieces_leave_the_process() -> None:
    if host_memory._glibc() is None:
        pytest.skip("the C library is not glibc")
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
    host_memory.give_back_freed_memory()
    assert before - _resident_bytes() > 0.8 * _PIECE * _NUM_PIECES
    library.free(pieces[-1])


# Prints page faults of a computation whose temporary arrays take 64 MB. The median of steps: now
# and then the block lies elsewhere, when something small was put where it lay.
_COUNT_PAGE_FAULTS = """
import resource
import statistics
import sys

import jax
import jax.numpy as jnp
from flamingo_jax.core import host_memory

if "in_calling_thread" in sys.argv:
    host_memory.compute_in_calling_thread()

@jax.jit
def step(x):
    return jax.lax.fori_loop(0, 2, lambda _, x: jnp.sin(x), jnp.tile(x, (4096, 1))).sum()

def page_faults():
    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step(jnp.ones(4096)).block_until_ready()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start

if "keep" in sys.argv:
    step(jnp.ones(4096)).block_until_ready()
    host_memory.give_back_freed_memory()
    host_memory.keep_freed_memory()
print(statistics.median(page_faults() for _ in range(11)))
"""


def _page_faults(*switches: str) -> float:
    result = subprocess.run(
        [sys.executable, "-c", _COUNT_PAGE_FAULTS, *switches],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "GLIBC_TUNABLES": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(result.stdout)


@pytest.mark.skipif(host_memory._glibc() is None, reason="the C library is not glibc")
def test_steps_take_the_memory_of_the_step_before() -> None:
    assert _page_faults("keep", "in_calling_thread") < 100
    assert _page_faults() > 10_000
    assert _page_faults("in_calling_thread") > 10_000


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    host_memory._glibc.cache_clear()
    monkeypatch.setattr(host_memory.sys, "platform", "darwin")
    assert host_memory._glibc() is None
    host_memory.give_back_freed_memory()
    host_memory.keep_freed_memory()
    host_memory._glibc.cache_clear()
