"""Whether the text of a page is kept: language, words, and Gopher's quality rules.

The quality rules are those of Gopher (arXiv 2112.11446, appendix A.1.1), which the Flamingo paper
refers to. A word is what stands between whitespace; a line is one that is not empty.
"""

from __future__ import annotations

import functools
import re

from flamingo_jax.preparation.m3w.config import M3WConfig
from flamingo_jax.preparation.m3w.rules import PageRule

STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})

_BULLETS = ("•", "‣", "▪", "▫", "●", "○", "◦", "■", "□", "·", "⁃", "∙")
_BULLETS_BEFORE_SPACE = ("-", "*", "–", "—", "+")
"""These begin other lines as well, so a space must follow."""

_ELLIPSES = ("...", "…")
_PUNCTUATION = ".,;:!?\"'()[]{}<>“”‘’«»*_-–—"


def blocked_word(text: str, words: tuple[str, ...]) -> bool:
    """Whether a text has one of the words or phrases, as whole words and in any case."""
    return bool(words) and _pattern(words).search(text) is not None


@functools.lru_cache(maxsize=8)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    phrases = (r"\s+".join(map(re.escape, word.split())) for word in words)
    return re.compile(rf"(?<!\w)(?:{'|'.join(phrases)})(?!\w)", re.IGNORECASE)


def quality(text: str, config: M3WConfig) -> PageRule | None:
    """The first of the quality rules that a text breaks, None if it keeps all.

    Args:
        text: of a page.
        config: the thresholds.
    """
    words = text.split()
    if len(words) < config.min_words:
        return PageRule.TOO_FEW_WORDS
    if len(words) > config.max_words:
        return PageRule.TOO_MANY_WORDS
    mean_length = sum(map(len, words)) / len(words)
    if not config.min_mean_word_length <= mean_length <= config.max_mean_word_length:
        return PageRule.MEAN_WORD_LENGTH
    for num_symbols in (text.count("#"), sum(text.count(mark) for mark in _ELLIPSES)):
        if num_symbols / len(words) > config.max_symbol_to_word_ratio:
            return PageRule.SYMBOLS
    text_lines = lines(text)
    num_bullets = sum(map(_begins_with_bullet, text_lines))
    if num_bullets / len(text_lines) > config.max_bullet_line_share:
        return PageRule.BULLET_LINES
    num_ellipses = sum(line.endswith(_ELLIPSES) for line in text_lines)
    if num_ellipses / len(text_lines) > config.max_ellipsis_line_share:
        return PageRule.ELLIPSIS_LINES
    num_alphabetic = sum(any(map(str.isalpha, word)) for word in words)
    if num_alphabetic / len(words) < config.min_alphabetic_word_share:
        return PageRule.WORDS_WITHOUT_LETTERS
    found = STOP_WORDS.intersection(word.strip(_PUNCTUATION).lower() for word in words)
    if len(found) < config.min_stop_words:
        return PageRule.STOP_WORDS
    return None


def lines(text: str) -> list[str]:
    """The lines of a text that are not empty, without whitespace at their ends."""
    return [line.strip() for line in text.split("\n") if line.strip()]


def _begins_with_bullet(line: str) -> bool:
    if line.startswith(_BULLETS):
        return True
    return line.startswith(_BULLETS_BEFORE_SPACE) and line[1:2].isspace()
