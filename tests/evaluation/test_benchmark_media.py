"""Pictures are encoded in groups that depend on their list alone, as seldom as memory allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmark_media import EncodedMedia
from flamingo_jax.evaluation.pictures import Pictures

GROUP, COUNT = 4, 30
BYTES_OF_A_GROUP = 2 * GROUP * 4  # latents and features of one float32 each


class Encoder:
    """Encodes a picture to its number, and keeps a list of the groups."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []

    def media_at_once(self, num_frames: int) -> int:
        return GROUP // num_frames

    def __call__(self, media: Iterable[np.ndarray]) -> Pictures:
        numbers = np.array([pixels.flat[0] for pixels in media], np.float32)
        self.groups.append(numbers.astype(int).tolist())
        return Pictures(latents=numbers[:, None, None], pooled=numbers[:, None])


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


def media(encoder: Encoder, threads: ThreadPoolExecutor, **limits: Any) -> EncodedMedia:
    def read(number: int) -> np.ndarray:
        if number == COUNT - 1:
            raise UserError("the last one is broken")
        return np.full((1, 2, 2, 3), number, np.uint8)

    return EncodedMedia(COUNT, read, encoder, 1, threads, **limits)  # type: ignore[arg-type]


def test_groups_are_cut_from_the_list_whatever_is_asked_first(threads: ThreadPoolExecutor) -> None:
    encoder = Encoder()
    encoded = media(encoder, threads)
    assert encoded.latents([17, 3, 16])[:, 0, 0].tolist() == [17, 3, 16]
    assert encoded.pooled([2])[:, 0].tolist() == [2]
    assert encoder.groups == [[16, 17, 18, 19], [0, 1, 2, 3]]
    encoded.release()
    assert encoded.latents([1])[0, 0, 0] == 1
    assert len(encoder.groups) == 3


def test_what_is_kept_is_limited(threads: ThreadPoolExecutor) -> None:
    encoder = Encoder()
    encoded = media(encoder, threads, max_bytes=2 * BYTES_OF_A_GROUP)
    rows = list(range(28))
    for _ in range(2):
        assert encoded.latents(rows)[:, 0, 0].tolist() == rows
    first, second = encoder.groups[:7], encoder.groups[7:]
    assert [group[0] for group in first] == [0, 4, 8, 12, 16, 20, 24]
    # The first two stay for good; the others make room for one another.
    assert [group[0] for group in second] == [8, 12, 16, 20, 24]


def test_reading_ahead_reads_nothing_twice_and_fails_when_it_is_needed(
    threads: ThreadPoolExecutor,
) -> None:
    encoder = Encoder()
    encoded = media(encoder, threads, read_ahead=6)
    for row in range(28):
        assert encoded.latents([row])[0, 0, 0] == row
    assert encoder.groups == [list(range(start, start + 4)) for start in range(0, 28, 4)]
    with pytest.raises(UserError, match="the last one is broken"):
        encoded.latents([28])
