"""Every quality rule just inside and just outside of its threshold."""

from __future__ import annotations

import dataclasses

import pytest

from flamingo_jax.preparation.m3w.config import M3WConfig
from flamingo_jax.preparation.m3w.rules import PageRule
from flamingo_jax.preparation.m3w.text_rules import blocked_word, lines, quality

CONFIG = M3WConfig()


def _words(number: int, *first: str) -> str:
    """So many words: those given, the stop words "the" and "of", then words of five letters."""
    words = [*first, "the", "of"]
    return " ".join([*words, *["pears"] * (number - len(words))])


@pytest.mark.parametrize(
    ("inside", "outside", "rule"),
    [
        (_words(50), _words(49), PageRule.TOO_FEW_WORDS),
        (_words(100_000), _words(100_001), PageRule.TOO_MANY_WORDS),
        # 150 and 149 characters of 50 words; 500 and 501.
        ("the of " + "abc " * 47 + "abcd", "the of " + "abc " * 48, PageRule.MEAN_WORD_LENGTH),
        (
            "the of " + "abcdefghij " * 47 + "k" * 25,
            "the of " + "abcdefghij " * 47 + "k" * 26,
            PageRule.MEAN_WORD_LENGTH,
        ),
        # 5 and 6 in 50 words, as words and within them.
        (_words(50, *["#ab"] * 5), _words(50, *["#ab"] * 6), PageRule.SYMBOLS),
        (_words(50, "a##b", "a##b", "x#yz"), _words(50, "a##b", "a###b", "x#yz"), PageRule.SYMBOLS),
        (_words(50, *["abc..."] * 5), _words(50, *["abc..."] * 6), PageRule.SYMBOLS),
        (_words(50, *["abc…"] * 3 + ["ab..."] * 2), _words(50, *["abc…"] * 3 + ["ab..."] * 3),
         PageRule.SYMBOLS),
        # 40 and 39 of 50 words have a letter.
        (_words(50, *["12345"] * 10), _words(50, *["12345"] * 11), PageRule.WORDS_WITHOUT_LETTERS),
        # Two different ones are needed; capitals and punctuation around them do not matter.
        ("(The of, " + "pears " * 48, "the the " + "pears " * 48, PageRule.STOP_WORDS),
        ("that\nWITH " + "pears " * 48, "that others " + "pears " * 48, PageRule.STOP_WORDS),
    ],
)  # fmt: skip
def test_thresholds(inside: str, outside: str, rule: PageRule) -> None:
    assert quality(inside, CONFIG) is None
    assert quality(outside, CONFIG) is rule


@pytest.mark.parametrize("bullet", ["•", "- ", "* ", "▪ ", "– "])
def test_bullet_lines(bullet: str) -> None:
    line = "the pears of five trees here"
    assert quality("\n".join([f"{bullet}{line}"] * 9 + [line]), CONFIG) is None
    assert quality("\n\n".join([f"{bullet}{line}"] * 10 + [line]), CONFIG) is PageRule.BULLET_LINES


def test_what_is_no_bullet() -> None:
    text = "\n".join(["-5 degrees of the coldest winter ever"] * 10 + ["*star of the night sky"])
    assert quality(text, CONFIG) is None


@pytest.mark.parametrize("ellipsis", ["...", "…", " ...  "])
def test_ellipsis_lines(ellipsis: str) -> None:
    line = "the pears of some five old trees there"
    inside = [line + ellipsis] * 3 + [line] * 7
    assert quality("\n".join(inside), CONFIG) is None
    # Seven words more, so that it is not the ratio to words that is broken.
    outside = [line + ellipsis] * 4 + [line] * 6
    assert quality("\n".join(outside), CONFIG) is PageRule.ELLIPSIS_LINES


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("min_words", 61, PageRule.TOO_FEW_WORDS),
        ("max_words", 59, PageRule.TOO_MANY_WORDS),
        ("min_mean_word_length", 5.0, PageRule.MEAN_WORD_LENGTH),
        ("max_mean_word_length", 4.5, PageRule.MEAN_WORD_LENGTH),
        ("max_symbol_to_word_ratio", 0.01, PageRule.SYMBOLS),
        ("max_bullet_line_share", 0.1, PageRule.BULLET_LINES),
        ("max_ellipsis_line_share", 0.1, PageRule.ELLIPSIS_LINES),
        ("min_alphabetic_word_share", 0.99, PageRule.WORDS_WITHOUT_LETTERS),
        ("min_stop_words", 3, PageRule.STOP_WORDS),
    ],
)
def test_thresholds_come_from_the_config(field: str, value: float, rule: PageRule) -> None:
    text = "- the # pears of 5...\n" + f"{'pears ' * 18}\n" * 3
    assert quality(text, CONFIG) is None
    assert quality(text, dataclasses.replace(CONFIG, **{field: value})) is rule


def test_blocked_words_are_whole_words_in_any_case() -> None:
    words = ("Bad", "very  rude")
    assert blocked_word("It is BAD.", words)
    assert blocked_word("a very\nrude one", words)
    assert not blocked_word("a badge, very crude", words)
    assert not blocked_word("bad", ())
    # Characters that mean something in a pattern stand for themselves.
    assert blocked_word("x c++ y", ("c++",)) and not blocked_word("ccc", ("c++",))


def test_lines() -> None:
    assert lines(" a \n\n b\n \n") == ["a", "b"]
