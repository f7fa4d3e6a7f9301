"""Text for the language model: a piece of a document at a random place, then its tokens."""

from __future__ import annotations

import numpy as np

from flamingo_jax.data import schema
from flamingo_jax.data.vocabulary import Vocabulary


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


def document_tokens(text: str, ends: bool, vocabulary: Vocabulary) -> np.ndarray:
    """`<BOS>text`, and `<EOS>` if the document ends here: int32 [T]."""
    end = [schema.EOS_ID] if ends else []
    return np.asarray([schema.BOS_ID, *vocabulary.encode(text), *end], np.int32)
