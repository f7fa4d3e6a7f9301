"""Cutting, padding and loss weights."""

from __future__ import annotations

import numpy as np

from flamingo_jax.data import schema, vocabulary
from flamingo_jax.data.ops import interleave, pad

WORLD = vocabulary.load("world")
TOKENS = interleave.interleave(("", "one", "two", "three"), WORLD)


def test_nothing_is_cut_where_there_is_room() -> None:
    kept = pad.cut(TOKENS, len(TOKENS.text), 3)
    assert kept.text.tolist() == TOKENS.text.tolist()


def test_a_text_that_is_too_long_loses_its_end() -> None:
    kept = pad.cut(TOKENS, 7, 3)
    assert kept.text.tolist() == TOKENS.text[:7].tolist()
    assert kept.chunk.tolist() == TOKENS.chunk[:7].tolist()


def test_pictures_without_a_place_take_their_text_along() -> None:
    kept = pad.cut(TOKENS, 1000, 2)
    assert kept.chunk.max() == 2
    assert kept.text[-1] == WORLD.end_of_chunk_id
    assert schema.EOS_ID not in kept.text
    whole = interleave.interleave(("", "one", "two"), WORLD)
    assert kept.text.tolist() == whole.text[:-1].tolist()


def test_rows_are_padded_with_zeros() -> None:
    row = pad.pad_row(np.array([3, 8, 9], np.int32), 5)
    assert row.tolist() == [3, 8, 9, 0, 0]
    assert row.dtype == np.int32
    assert pad.pad_row(np.arange(5), 2).tolist() == [0, 1]


def test_media_are_padded_with_black_pictures() -> None:
    media = np.full((2, 1, 4, 4, 3), 7, np.uint8)
    padded = pad.pad_media(media, 3)
    assert padded.shape == (3, 1, 4, 4, 3)
    assert padded.dtype == np.uint8
    assert (padded[:2] == 7).all()
    assert not padded[2].any()
    assert pad.pad_media(media, 1).shape == (1, 1, 4, 4, 3)


def test_every_real_token_but_the_first_is_scored() -> None:
    text = pad.pad_row(TOKENS.text, len(TOKENS.text) + 3)
    weight = pad.loss_weight(text)
    assert weight.dtype == np.float32
    assert weight.tolist() == [0.0] + [1.0] * (len(TOKENS.text) - 1) + [0.0] * 3
