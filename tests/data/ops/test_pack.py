"""Several documents in a row: who gets how much room, and what a row looks like."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from flamingo_jax.data import schema
from flamingo_jax.data.ops import pack, window


def document(number: int, length: int) -> np.ndarray:
    """`<BOS>`, tokens that tell the document and the place in it, `<EOS>`."""
    inside = 1000 * number + np.arange(length - 2)
    return np.array([schema.BOS_ID, *inside, schema.EOS_ID], np.int32)


@pytest.mark.parametrize(
    ("lengths", "room", "expected"),
    [
        ([3, 4], 10, [3, 4]),
        ([5, 5], 10, [5, 5]),
        ([9, 2], 10, [8, 2]),
        ([9, 9], 10, [5, 5]),
        ([2, 9, 9, 9], 12, [2, 4, 3, 3]),
        ([9, 2, 4, 9], 12, [4, 2, 3, 3]),
        ([100], 10, [10]),
        ([], 10, []),
    ],
)
def test_the_longest_give_way(lengths: list[int], room: int, expected: list[int]) -> None:
    assert pack.shares(lengths, room) == expected


def test_shares_are_those_of_giving_out_one_at_a_time() -> None:
    for lengths in itertools.product(range(1, 6), repeat=3):
        for room in range(3, 18):
            expected = [0, 0, 0]
            while sum(expected) < min(room, sum(lengths)):
                lowest = min(e for e, n in zip(expected, lengths, strict=True) if e < n)
                place = next(
                    i for i in range(3) if expected[i] == lowest and expected[i] < lengths[i]
                )
                expected[place] += 1
            assert pack.shares(lengths, room) == expected, (lengths, room)


def test_documents_that_fit_are_whole() -> None:
    documents = [document(1, 4), document(2, 6), document(3, 3)]
    row = pack.pack(documents, 16, window.first_tokens)
    assert row.text.tolist() == [*np.concatenate(documents).tolist(), 0, 0, 0]
    assert row.segment.tolist() == [1] * 4 + [2] * 6 + [3] * 3 + [0] * 3
    assert row.text.dtype == row.segment.dtype == np.int32


def test_no_room_is_left_empty_while_there_is_text() -> None:
    documents = [document(1, 30), document(2, 5), document(3, 40)]
    asked = []

    def cut(tokens: np.ndarray, length: int) -> np.ndarray:
        asked.append((len(tokens), length))
        return window.first_tokens(tokens, length)

    row = pack.pack(documents, 26, cut)
    assert asked == [(30, 11), (40, 10)]
    assert row.segment.tolist() == [1] * 11 + [2] * 5 + [3] * 10
    assert row.text.tolist() == [
        *documents[0][:11].tolist(), *documents[1].tolist(), *documents[2][:10].tolist()
    ]  # fmt: skip
    assert (row.text == schema.EOS_ID).sum() == 1
