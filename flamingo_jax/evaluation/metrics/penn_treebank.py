"""Words of captions as coco-caption has them: Stanford's Penn Treebank tokenizer, without Java.

coco-caption writes all captions of a run into one file, one a line, gives it to Stanford CoreNLP
3.4.1 (`PTBTokenizer -preserveLines -lowerCase`) and drops the tokens that are punctuation. This
module comes to the same tokens. The kinds of tokens are in penn_treebank_rules.py.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence

from flamingo_jax.evaluation.metrics.penn_treebank_patterns import PATTERNS, SETS
from flamingo_jax.evaluation.metrics.penn_treebank_rules import KINDS
from flamingo_jax.evaluation.metrics.scanner import Scanner

# coco-caption's list. It means to drop brackets too, but looks for capitals (-LRB-) after
# lowercasing, so that brackets stay as `-lrb-`.
_PUNCTUATION = frozenset(["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"])
_LINE_BREAKS = re.compile("[\r\n\x0b\x0c\x85\u2028\u2029]")


def tokenize(text: str) -> list[str]:
    """Splits a caption into lowercase words; punctuation is dropped.

    Args:
      text: a caption.

    Returns:
      The words. Clitics stand alone (`don't` is `do`, `n't`), hyphenated words stay together, an
      opening round bracket becomes `-lrb-`.
    """
    # With the line break that it has in a file: some words want to see what follows them.
    return tokenize_captions([text, ""])[0].split()


def tokenize_captions(texts: Sequence[str]) -> list[str]:
    """Tokenises captions together, as coco-caption does.

    A few words depend on how the next caption begins: in "plan B." the full stop is a token of its
    own (and is dropped) if the next caption begins with "A man", and it belongs to the word if that
    begins with "Two men". To get coco-caption's numbers, give it the captions in the same order.

    Args:
      texts: captions. Line breaks in them count as spaces.

    Returns:
      One string a caption, its tokens joined by spaces. A few kinds of tokens, such as `5 1/2`,
      have a no-break space in them; `str.split` divides them, as coco-caption's n-grams do.
    """
    lines = "\n".join(_LINE_BREAKS.sub(" ", text) for text in texts)
    tokenized = " ".join(_tokens(lines)).split("\n") if texts else []
    return [
        " ".join(token for token in line.split(" ") if token and token not in _PUNCTUATION)
        for line in tokenized
    ]


@functools.cache
def _scanner() -> Scanner:
    return Scanner([kind.rule for kind in KINDS], PATTERNS, SETS)


def _tokens(text: str) -> Iterator[str]:
    """The tokens of a text, punctuation too; a line break is a token."""
    scanner = _scanner()
    start = 0
    while start < len(text):
        if text[start] == "\n":
            yield "\n"
            start += 1
            continue
        found = scanner.match(text, start)
        assert found is not None, "the last kind takes every character"
        token = KINDS[found.rule].action(text[start : found.end])
        if token is None:
            start = found.end
        else:
            yield token.text.lower()
            start += token.length
