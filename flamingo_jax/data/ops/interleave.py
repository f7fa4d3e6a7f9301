"""Chunks of text to one sequence of tokens with image tags (paper, v2, A.3.3).

`<BOS>Cute pics of my pets!<EOC><image>My puppy.<EOC><image>My cat.<EOC><EOS>`: a tag for every
picture, `<EOC>` before every tag and at the document's end. An empty chunk 0 has nothing to close
and gets no `<EOC>`, so a pair is `<BOS><image>text<EOC><EOS>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from flamingo_jax.data import schema
from flamingo_jax.data.vocabulary import Vocabulary


class Tokens(NamedTuple):
    """A tokenised document.

    Attributes:
        text: int32 [T], token ids.
        chunk: int32 [T], the chunk of each token: 0 before the first picture, i from the first
            token of picture i's tag up to the `<EOC>` (and `<EOS>`) that ends it.
    """

    text: np.ndarray
    chunk: np.ndarray


def interleave(chunks: Sequence[str], vocabulary: Vocabulary, ends: bool = True) -> Tokens:
    """Tokenises a document.

    Args:
        chunks: I+1 strings; chunk 0 stands before the first picture, chunk i after picture i.
        vocabulary: of the language model.
        ends: whether the document ends here; if not (a prompt to go on from), its last chunk stays
            open, without `<EOC>` and `<EOS>`.

    Returns:
        Its tokens and their chunks.
    """
    tag = vocabulary.encode(schema.IMAGE_TAG)
    text = [schema.BOS_ID]
    lengths = []
    for number, chunk in enumerate(chunks):
        start = len(text) if number else 0
        if number:
            text += tag
        text += vocabulary.encode(chunk)
        is_last = number == len(chunks) - 1
        if (number or chunk) and (ends or not is_last):
            text.append(vocabulary.end_of_chunk_id)
        if is_last and ends:
            text.append(schema.EOS_ID)
        lengths.append(len(text) - start)
    chunk_T = np.repeat(np.arange(len(chunks), dtype=np.int32), lengths)
    return Tokens(np.asarray(text, np.int32), chunk_T)
