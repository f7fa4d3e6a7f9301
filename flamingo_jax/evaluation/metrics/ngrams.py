"""N-grams of tokenised captions, as CIDEr and BLEU count them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from flamingo_jax.evaluation.metrics.penn_treebank import tokenize_captions

MAX_NGRAM = 4

Ngram = tuple[str, ...]


def count_ngrams(words: Sequence[str]) -> Counter[Ngram]:
    """How often each n-gram of one to four words occurs."""
    return Counter(
        tuple(words[start : start + n])
        for n in range(1, MAX_NGRAM + 1)
        for start in range(len(words) - n + 1)
    )


def tokenize_items(
    predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[list[str], list[list[str]]]:
    """Tokenises the captions of all items in the two runs that coco-caption makes.

    Args:
      predictions: one caption an item.
      references: the right captions of each item.

    Returns:
      The same, as strings of tokens joined by spaces.
    """
    tokenized = iter(tokenize_captions([text for texts in references for text in texts]))
    return (
        tokenize_captions(predictions),
        [[next(tokenized) for _ in texts] for texts in references],
    )
