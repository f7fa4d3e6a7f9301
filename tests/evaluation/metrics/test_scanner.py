"""The scanner: the longest match, ties, what must follow, and the language of patterns."""

from __future__ import annotations

import pytest

from flamingo_jax.evaluation.metrics.scanner import Match, Rule, Scanner


def scanner(*rules: Rule, **patterns: str) -> Scanner:
    return Scanner(rules, patterns, {"DIGIT": str.isdigit})


def test_the_longest_match_wins_and_the_first_of_equal_ones() -> None:
    found = scanner(Rule("ab"), Rule("[a-z]+"), Rule("abc|abcd"))
    assert found.match("ab", 0) == Match(0, 2)
    assert found.match("abc", 0) == Match(1, 3)
    assert found.match("xabcd", 1) == Match(1, 5)
    assert found.match("1", 0) is None


def test_a_longer_match_beyond_a_gap_is_found() -> None:
    # "a.b" is a match, "a." is none: the scanner must read on and remember.
    found = scanner(Rule("a"), Rule(r"a\.b"))
    assert found.match("a.b", 0) == Match(1, 3)
    assert found.match("a.c", 0) == Match(0, 1)


def test_context_counts_for_the_length_and_stays_outside() -> None:
    found = scanner(Rule("a+"), Rule("a", context="ab"))
    assert found.match("aab", 0) == Match(1, 1)
    assert found.match("aac", 0) == Match(0, 2)


def test_of_several_divisions_the_longest_token_is_taken() -> None:
    assert scanner(Rule("a+", context="a+b")).match("aaab", 0) == Match(0, 2)


@pytest.mark.parametrize(
    ("pattern", "text", "end"),
    [
        ("a", "A", 1),
        ("[a]", "A", None),
        ("[^a-c]", "d", 1),
        ("[^a-c]", "b", None),
        (r"[\]\-]+", "-]-", 3),
        ("x{2}", "xxx", 2),
        ("x{1,2}", "xxx", 2),
        ("x?y*z+", "yyzz", 4),
        ("(ab|c)*d", "abcabd", 6),
        ("{DIGIT}{2,3}", "1234", 3),
        ("{name}!", "ab!", 3),
        (r"\{\*", "{*", 2),
        ("é", "É", 1),
    ],
)
def test_pattern_language(pattern: str, text: str, end: int | None) -> None:
    found = scanner(Rule(pattern), name="ab").match(text, 0)
    assert found == (None if end is None else Match(0, end))


@pytest.mark.parametrize("pattern", ["(a", "a)", "*a", "{nobody}"])
def test_malformed_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError):
        scanner(Rule(pattern))
