"""How much of a text repeats itself: Gopher's repetition rules (arXiv 2112.11446, table A1).

One reading of "duplicate" holds for all of them, as the table does not give one: a line, paragraph
or n-gram is a duplicate if it occurs more than once, every time it occurs, the first included; a
character that several duplicates cover counts once. Other projects leave out the first occurrence
and so drop fewer pages. Words are told apart by case and punctuation; characters of n-grams are
those of words, without the space between them.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Sequence

from flamingo_jax.preparation.m3w.config import DUPLICATE_NGRAMS, TOP_NGRAMS, M3WConfig
from flamingo_jax.preparation.m3w.rules import PageRule
from flamingo_jax.preparation.m3w.text_rules import lines

_PARAGRAPH_END = re.compile(r"\n\s*\n")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Duplicates:
    """How much of a text is in lines, or paragraphs, that occur more than once.

    Attributes:
        share: of the lines or paragraphs.
        character_share: of their characters.
    """

    share: float
    character_share: float


def repetition(text: str, config: M3WConfig) -> PageRule | None:
    """The first of the repetition rules that a text breaks, None if it keeps all.

    Args:
        text: of a page.
        config: the thresholds.
    """
    of_lines, of_paragraphs = duplicates(lines(text)), duplicates(paragraphs(text))
    for share, limit, rule in (
        (of_lines.share, config.max_duplicate_line_share, PageRule.DUPLICATE_LINES),
        (
            of_paragraphs.share,
            config.max_duplicate_paragraph_share,
            PageRule.DUPLICATE_PARAGRAPHS,
        ),
        (
            of_lines.character_share,
            config.max_duplicate_line_character_share,
            PageRule.DUPLICATE_LINE_CHARACTERS,
        ),
        (
            of_paragraphs.character_share,
            config.max_duplicate_paragraph_character_share,
            PageRule.DUPLICATE_PARAGRAPH_CHARACTERS,
        ),
    ):
        if share > limit:
            return rule
    words = text.split()
    for n, limit in zip(TOP_NGRAMS, config.max_top_ngram_share, strict=True):
        if top_ngram_share(words, n) > limit:
            return PageRule(f"top_{n}_gram")
    for n, limit in zip(DUPLICATE_NGRAMS, config.max_duplicate_ngram_share, strict=True):
        if duplicate_ngram_share(words, n) > limit:
            return PageRule(f"duplicate_{n}_grams")
    return None


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a text: what empty lines part."""
    return [part.strip() for part in _PARAGRAPH_END.split(text) if part.strip()]


def duplicates(items: Sequence[str]) -> Duplicates:
    """How many of the items occur more than once, and how many of their characters; 0 of none."""
    counts = Counter(items)
    repeated = [item for item in items if counts[item] > 1]
    return Duplicates(
        share=len(repeated) / max(1, len(items)),
        character_share=sum(map(len, repeated)) / max(1, sum(map(len, items))),
    )


def top_ngram_share(words: Sequence[str], n: int) -> float:
    """Share of the words' characters that are in the n-gram that occurs most often.

    Of several that occur equally often, the one that covers most; 0 if none occurs twice.
    """
    places = _places(words, n)
    most = max(map(len, places), default=0)
    total = max(1, sum(map(len, words)))
    return max(
        (_covered(words, starts, n) / total for starts in places if len(starts) == most),
        default=0.0,
    )


def duplicate_ngram_share(words: Sequence[str], n: int) -> float:
    """Share of the words' characters that are in n-grams that occur more than once."""
    starts = sorted(start for starts in _places(words, n) for start in starts)
    return _covered(words, starts, n) / max(1, sum(map(len, words)))


def _places(words: Sequence[str], n: int) -> list[list[int]]:
    """Where each n-gram that occurs more than once begins."""
    places: dict[tuple[str, ...], list[int]] = {}
    for start in range(len(words) - n + 1):
        places.setdefault(tuple(words[start : start + n]), []).append(start)
    return [starts for starts in places.values() if len(starts) > 1]


def _covered(words: Sequence[str], starts: Sequence[int], n: int) -> int:
    """Characters of the words in the n-grams that begin at `starts`, in rising order."""
    covered = end = 0
    for start in starts:
        covered += sum(map(len, words[max(start, end) : start + n]))
        end = start + n
    return covered
