"""Whether a benchmark's items show the clips that the miniatures drew for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

import numpy as np

from flamingo_jax.data.media import EncodedVideo
from flamingo_jax.data.ops.decode import decode
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaStore
from tests.evaluation.benchmarks.miniatures import colour

_LOSS = 12
"""What two codecs and the step to a quarter of the colour's pixels change at most."""


def check_clips(benchmark: Benchmark, files: Mapping[str, str] | None = None) -> None:
    """Decodes every clip of queries and support, and compares its colour.

    Args:
      benchmark: of a miniature.
      files: the names of those files that are called otherwise than the ends of their media.
    """
    assert benchmark.queries
    for items, store in (
        (benchmark.queries, benchmark.query_media),
        (benchmark.support, benchmark.support_media),
    ):
        for item in items:
            name = PurePosixPath(item.medium).name
            expected = colour((files or {}).get(name, name))
            found = shown(store, item.medium)
            assert np.abs(np.subtract(found, expected)).max() <= _LOSS, item.medium


def shown(store: MediaStore, name: str) -> list[int]:
    """The colour in the middle of a clip's last frame."""
    medium = store.read(name)
    assert isinstance(medium, EncodedVideo)
    return [int(value) for value in decode(medium, 2, 16, 2.0)[-1, 8, 8]]


def by_id(items: Iterable[Item]) -> dict[str, Item]:
    return {item.id: item for item in items}
