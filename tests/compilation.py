"""How tests compile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def fast_compilation() -> Iterator[None]:
    """Compiles with few optimisations, in half the time: what is compiled here runs a few times."""
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", False)
