"""Whether a benchmark's items show the pictures that the miniatures drew for them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.ops.decode_image import decode_image
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item, MediaStore
from tests.evaluation.benchmarks import miniatures

_JPEG_LOSS = 4


def check_pictures(benchmark: Benchmark) -> None:
    """Decodes every picture of queries and support, and compares its colour."""
    for items, store in (
        (benchmark.queries, benchmark.query_media),
        (benchmark.support, benchmark.support_media),
    ):
        assert items
        for item in items:
            expected = miniatures.colour(item.medium.rpartition("/")[2])
            found = shown(store, item.medium)
            assert np.abs(np.subtract(found, expected)).max() <= _JPEG_LOSS, item.medium


def shown(store: MediaStore, name: str) -> list[int]:
    """The colour in the middle of a picture."""
    medium = store.read(name)
    assert isinstance(medium, EncodedImage)
    return [int(value) for value in decode_image(medium, 8)[4, 4]]


def by_id(items: Iterable[Item]) -> dict[str, Item]:
    found = {item.id: item for item in items}
    return found
