"""Several documents in one row, so that short ones leave no room empty.

A row of 2,048 tokens that holds one document of 300 is 85 % padding. Here it holds several, each
with a number of its own; attention does not look over the border (`models/masks.py`), and a
document's losses are what they are when it has a row to itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from flamingo_jax.data.ops import pad


class Packed(NamedTuple):
    """One row.

    Attributes:
        text: int32 [T], the documents one behind the other, padding behind the last.
        segment: int32 [T], the number of each token's document from 1; 0 where padding is.
    """

    text: np.ndarray
    segment: np.ndarray


Cut = Callable[[np.ndarray, int], np.ndarray]
"""(tokens of a document, n) -> n of them; n is smaller than their number."""


def pack(documents: Sequence[np.ndarray], length: int, cut: Cut) -> Packed:
    """Puts documents into a row, in their order.

    Args:
        documents: int32 tokens of each, `<BOS>` first and `<EOS>` last.
        length: T, at least the number of documents.
        cut: takes a part of a document that has less room than tokens.

    Returns:
        The row. There is padding only if all documents are whole.
    """
    parts = [
        tokens if share == len(tokens) else cut(tokens, share)
        for tokens, share in zip(
            documents, shares([len(tokens) for tokens in documents], length), strict=True
        )
    ]
    numbers = np.arange(1, len(parts) + 1, dtype=np.int32)
    segment = np.repeat(numbers, [len(part) for part in parts])
    return Packed(pad.pad_row(np.concatenate(parts), length), pad.pad_row(segment, length))


def shares(lengths: Sequence[int], room: int) -> list[int]:
    """How much of each thing finds room: the longest give way until all fit.

    As water fills vessels of these heights that are joined at the bottom: every thing below the
    water's level is whole, every other one is cut down to the level.

    Args:
        lengths: of the things.
        room: for all together.

    Returns:
        One length for each. They add up to `room`, or to less where everything fits.
    """
    result = list(lengths)
    left = room
    for done, number in enumerate(sorted(range(len(lengths)), key=lengths.__getitem__)):
        level, rest = divmod(left, len(lengths) - done)
        if lengths[number] > level:
            too_long = [n for n, length in enumerate(lengths) if length > level]
            # What the division leaves over goes to the first ones, one each.
            for place, other in enumerate(too_long):
                result[other] = level + (place < rest)
            break
        left -= lengths[number]
    return result
