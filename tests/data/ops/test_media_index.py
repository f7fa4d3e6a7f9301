"""phi under "previous" and "next"."""

from __future__ import annotations

import numpy as np

from flamingo_jax.data import seeds
from flamingo_jax.data.ops.media_index import media_index

CHUNK = np.array([0, 0, 1, 1, 1, 2, 2, 3, 3], np.int32)


def _phi(p_next: float, number: int = 0, num_images: int = 3) -> list[int]:
    random = seeds.generator(0, "p_next", "train", number)
    phi = media_index(CHUNK, num_images, p_next, random)
    assert phi.dtype == np.int32
    return phi.tolist()


def test_previous_is_the_picture_of_the_chunk() -> None:
    for number in range(20):
        assert _phi(0.0, number) == CHUNK.tolist()


def test_next_moves_every_chunk_on_and_leaves_the_last_without() -> None:
    for number in range(20):
        assert _phi(1.0, number) == [1, 1, 2, 2, 2, 3, 3, 0, 0]


def test_a_page_that_was_cut_still_has_its_next_picture() -> None:
    assert _phi(1.0, num_images=4) == [1, 1, 2, 2, 2, 3, 3, 4, 4]


def test_half_of_the_pages_see_the_next_picture() -> None:
    drawn = [_phi(0.5, number)[0] for number in range(1000)]
    assert 440 < sum(drawn) < 560  # within four standard deviations
    assert drawn == [_phi(0.5, number)[0] for number in range(1000)]
