"""A random part of a page: its tokens, its chunks, and the pictures that are in it."""

from __future__ import annotations

import numpy as np
import pytest

from flamingo_jax.data import schema, vocabulary
from flamingo_jax.data.ops.interleave import interleave
from flamingo_jax.data.ops.subsequence import random_subsequence

WORLD = vocabulary.load("world")
TAG = WORLD.encode("<image>")
PAGE = interleave(tuple(f"{word} " * 6 for word in ("red", "two", "cat", "blue", "six")), WORLD)
LENGTH = 24


def _tags(text_T: np.ndarray) -> list[int]:
    windows = [text_T[i : i + len(TAG)].tolist() for i in range(len(text_T))]
    return [i for i, window in enumerate(windows) if window == TAG]


def test_a_short_page_is_kept_whole() -> None:
    tokens, first_image = random_subsequence(PAGE, len(PAGE.text), 3, np.random.default_rng(0))
    assert first_image == 0
    assert np.array_equal(tokens.text, PAGE.text)
    assert np.array_equal(tokens.chunk, PAGE.chunk)


@pytest.mark.parametrize("seed", range(40))
def test_a_part_is_cut_out_of_the_page_with_its_pictures(seed: int) -> None:
    (text_T, chunk_T), first_image = random_subsequence(
        PAGE, LENGTH, len(TAG), np.random.default_rng(seed)
    )
    assert len(text_T) == len(chunk_T) == LENGTH
    assert text_T.dtype == chunk_T.dtype == np.int32
    assert text_T[0] == schema.BOS_ID
    assert chunk_T[0] == 0
    starts = [
        start
        for start in range(1, len(PAGE.text) - LENGTH + 2)
        if np.array_equal(PAGE.text[start : start + LENGTH - 1], text_T[1:])
    ]
    assert starts
    # A whole tag is in it, none is cut at its beginning, and phi goes up at every tag.
    tags = _tags(text_T)
    assert tags
    rises = (1 + np.flatnonzero(np.diff(chunk_T))).tolist()
    assert rises[: len(tags)] == tags
    for start in starts:
        if np.array_equal(
            np.maximum(PAGE.chunk[start : start + LENGTH - 1] - first_image, 0), chunk_T[1:]
        ):
            # Pictures before the part are those whose tags begin before it.
            assert first_image == sum(tag < start for tag in _tags(PAGE.text))
            return
    pytest.fail("the chunks are those of another place")


def test_every_picture_is_in_reach() -> None:
    seen = set()
    for seed in range(100):
        tokens, first_image = random_subsequence(
            PAGE, LENGTH, len(TAG), np.random.default_rng(seed)
        )
        seen |= {first_image + int(chunk) for chunk in tokens.chunk if chunk}
    assert seen == {1, 2, 3, 4}


def test_text_far_from_any_picture_is_never_drawn() -> None:
    page = interleave(("red " * 200, "two"), WORLD)
    for seed in range(20):
        (text_T, chunk_T), first_image = random_subsequence(
            page, LENGTH, len(TAG), np.random.default_rng(seed)
        )
        assert _tags(text_T)
        assert first_image == 0
        assert chunk_T.max() == 1
