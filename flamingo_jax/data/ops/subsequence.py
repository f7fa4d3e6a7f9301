"""A random part of a long page (paper, section 3.2.2: 256 tokens and the first images in them)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from flamingo_jax.data.ops.interleave import Tokens


class Subsequence(NamedTuple):
    """A part of a document.

    Attributes:
        tokens: `<BOS>` and the part; chunks are counted from its first picture.
        first_image: number of pictures of the document that stand before the part.
    """

    tokens: Tokens
    first_image: int


def random_subsequence(
    tokens: Tokens, length: int, tag_length: int, random: np.random.Generator
) -> Subsequence:
    """Takes `<BOS>` and `length - 1` tokens at a random place.

    The place is drawn evenly from those at which the part has at least one whole tag: the paper
    does not say what becomes of parts without a picture. Text before the part's first tag belongs
    to a picture that is not in the part and sees none.

    Args:
        tokens: of a document with at least one picture, `<BOS>` first.
        length: tokens of the part, at least 2; a document that is not longer is kept whole.
        tag_length: tokens of an image tag.
        random: generator of the example.

    Returns:
        The part.
    """
    num_tokens = len(tokens.text)
    if num_tokens <= length:
        return Subsequence(tokens, 0)
    # <BOS> is of chunk 0, so that every later chunk begins, with its tag, behind another one.
    tag_starts = 1 + np.flatnonzero(np.diff(tokens.chunk))
    starts_S = np.arange(1, num_tokens - length + 2)
    tags_I1 = tag_starts[:, None]
    inside_IS = (tags_I1 >= starts_S) & (tags_I1 + tag_length <= starts_S + length - 1)
    split_IS = (tags_I1 < starts_S) & (starts_S < tags_I1 + tag_length)
    allowed = starts_S[inside_IS.any(0) & ~split_IS.any(0)]
    # A part too short for a tag between others has no such place: take the beginning.
    start = int(random.choice(allowed)) if len(allowed) else 1
    part = slice(start, start + length - 1)
    first_image = int((tag_starts < start).sum())
    text_T = np.concatenate([tokens.text[:1], tokens.text[part]])
    chunk_T = np.concatenate([tokens.chunk[:1], tokens.chunk[part] - first_image])
    return Subsequence(Tokens(text_T, np.maximum(chunk_T, 0)), first_image)
