"""Text for the language model: a part of a document at a random place, and its tokens.

Tokens are what there is room for, but a document of a million characters is not turned into tokens
for the sake of a thousand of them: first a window of its characters is taken, which is larger than
any row (`random_window`), then a part of the window's tokens (`random_tokens`).
"""

from __future__ import annotations

import numpy as np

from flamingo_jax.data import schema
from flamingo_jax.data.vocabulary import Vocabulary

_SPACE = "▁"  # As SentencePiece writes it.
_LONGEST_WORD = 16
"""Tokens that a start is moved back at most."""


def random_window(text: str, num_characters: int, random: np.random.Generator) -> tuple[str, bool]:
    """Cuts a window out of a text, at a place drawn evenly and then moved to a word's start.

    Args:
        text: the whole document.
        num_characters: length of the window; a shorter text is kept whole.
        random: generator of the example.

    Returns:
        The window, and whether it reaches the end of the document.
    """
    if len(text) <= num_characters:
        return text, True
    start = int(random.integers(len(text) - num_characters + 1))
    if start and not text[start - 1].isspace():
        next_space = text.find(" ", start, start + num_characters)
        start = next_space + 1 if next_space >= 0 else start
    return text[start : start + num_characters], start + num_characters >= len(text)


def word_starts(vocabulary: Vocabulary) -> np.ndarray:
    """Whether a token begins with a space, and hence a word: bool [V], by token id."""
    pieces = (vocabulary.piece(token) for token in range(vocabulary.size))
    return np.array([piece.startswith(_SPACE) for piece in pieces])


def random_tokens(
    tokens_T: np.ndarray, length: int, begins_word_V: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """`<BOS>` and a part of a document at a place drawn evenly, then moved back to a word's start.

    Args:
        tokens_T: of the document, `<BOS>` first.
        length: tokens of the result, from 1 to the document's.
        begins_word_V: bool, whether a token begins a word, see `word_starts`.
        random: generator of the example.

    Returns:
        `<BOS>` and `length - 1` of the other tokens in a row; `<EOS>` only if it is among them.
    """
    start = 1 + int(random.integers(len(tokens_T) - length + 1))
    first = max(1, start - _LONGEST_WORD)
    begins_word = begins_word_V[tokens_T[first : start + 1]]
    begins_word[0] |= first == 1
    # Where there are no spaces, no word's start may be near: then any place will do.
    if begins_word.any():
        start = first + int(np.flatnonzero(begins_word)[-1])
    return np.concatenate([tokens_T[:1], tokens_T[start : start + length - 1]])


def first_tokens(tokens_T: np.ndarray, length: int) -> np.ndarray:
    """The beginning of a document: [length]."""
    return tokens_T[:length]


def document_tokens(text: str, ends: bool, vocabulary: Vocabulary) -> np.ndarray:
    """`<BOS>text`, and `<EOS>` if the document ends here: int32 [T]."""
    end = [schema.EOS_ID] if ends else []
    return np.asarray([schema.BOS_ID, *vocabulary.encode(text), *end], np.int32)
