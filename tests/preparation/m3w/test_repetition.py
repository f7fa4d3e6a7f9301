"""Repetition, against counting character by character, and each rule around its threshold."""

from __future__ import annotations

import dataclasses
import random

import pytest

from flamingo_jax.preparation.m3w.config import DUPLICATE_NGRAMS, TOP_NGRAMS, M3WConfig
from flamingo_jax.preparation.m3w.repetition import (
    duplicate_ngram_share,
    duplicates,
    paragraphs,
    repetition,
    top_ngram_share,
)
from flamingo_jax.preparation.m3w.rules import PageRule
from tests.preparation.m3w.texts import good_text

CONFIG = M3WConfig()


def _marked_share(words: list[str], n: int, chosen: set[tuple[str, ...]]) -> float:
    """Share of characters in the n-grams, by marking every single character."""
    marks = [[False] * len(word) for word in words]
    for start in range(len(words)):
        if tuple(words[start : start + n]) in chosen:
            for word in marks[start : start + n]:
                word[:] = [True] * len(word)
    flat = [mark for word in marks for mark in word]
    return sum(flat) / len(flat)


def _occurrences(words: list[str], n: int) -> dict[tuple[str, ...], int]:
    """How often each n-gram occurs, by looking for it at every place."""
    grams = [tuple(words[i : i + n]) for i in range(len(words)) if i + n <= len(words)]
    return {gram: sum(other == gram for other in grams) for gram in grams}


def _naive_duplicates(words: list[str], n: int) -> float:
    times = _occurrences(words, n)
    return _marked_share(words, n, {gram for gram in times if times[gram] >= 2})


def _naive_top(words: list[str], n: int) -> float:
    times = _occurrences(words, n)
    most = max(times.values(), default=0)
    if most < 2:
        return 0.0
    return max(_marked_share(words, n, {gram}) for gram in times if times[gram] == most)


@pytest.mark.parametrize("seed", range(25))
def test_shares_of_ngrams_equal_naive_counts(seed: int) -> None:
    draw = random.Random(seed)
    # Few different words, of different lengths, so that n-grams repeat and overlap themselves.
    vocabulary = ["a", "bb", "ccc", "dddd", "eeeee"][: draw.randint(1, 5)]
    words = [draw.choice(vocabulary) for _ in range(draw.randint(1, 60))]
    for n in (*TOP_NGRAMS, *DUPLICATE_NGRAMS):
        assert top_ngram_share(words, n) == pytest.approx(_naive_top(words, n))
        assert duplicate_ngram_share(words, n) == pytest.approx(_naive_duplicates(words, n))


def test_shares_by_hand() -> None:
    words = ["aa", "b", "cc", "aa", "b", "dddd"]  # 12 characters
    assert top_ngram_share(words, 2) == 6 / 12  # "aa b" twice
    assert duplicate_ngram_share(words, 2) == 6 / 12
    assert top_ngram_share(words, 3) == 0.0
    # It overlaps itself: every character counts once.
    assert top_ngram_share(["ab"] * 5, 2) == 1.0
    # Two that occur equally often: the longer one.
    words = ["a", "b", "x", "cc", "dd", "y", "a", "b", "z", "cc", "dd"]
    assert top_ngram_share(words, 2) == 8 / 15
    assert top_ngram_share([], 2) == duplicate_ngram_share(["a"], 5) == 0.0


def test_duplicates_by_hand() -> None:
    found = duplicates(["aa", "b", "aa", "cccc", "aa"])
    assert (found.share, found.character_share) == (3 / 5, 6 / 11)
    assert duplicates([]).share == duplicates(["a", "b"]).character_share == 0.0


def test_paragraphs() -> None:
    assert paragraphs("a\nb\n\n \nc\n\n\n\nd\n") == ["a\nb", "c", "d"]


def _page(*parts: str, between: str) -> str:
    """Parts, and so many other lines of ten characters, all different, that there are 20."""
    others = [f"{number:010d}" for number in range(20 - len(parts))]
    return between.join([*parts, *others])


@pytest.mark.parametrize("between", ["\n", "\n\n"])
def test_lines_and_paragraphs_at_the_threshold(between: str) -> None:
    # One word a line, so that no n-gram is repeated. Few characters, so that only numbers count.
    kind = "PARAGRAPH" if between == "\n\n" else "LINE"
    open_config = dataclasses.replace(
        CONFIG,
        **({"max_duplicate_line_share": 1.0, "max_duplicate_line_character_share": 1.0}
           if kind == "PARAGRAPH" else {}),
    )  # fmt: skip
    rule = PageRule[f"DUPLICATE_{kind}S"]
    inside = ["aa"] * 2 + ["b"] * 2 + ["c"] * 2
    assert repetition(_page(*inside, between=between), open_config) is None  # 6 of 20
    assert repetition(_page(*inside, "c", between=between), open_config) is rule  # 7 of 20
    # 4 of 20, with 40 of 200 and with 42 of 202 characters.
    rule = PageRule[f"DUPLICATE_{kind}_CHARACTERS"]
    ten, eleven = "a" * 10, "a" * 11
    other = "b" * 10
    assert repetition(_page(ten, other, ten, other, between=between), open_config) is None
    assert repetition(_page(eleven, other, eleven, other, between=between), open_config) is rule


@pytest.mark.parametrize("n", TOP_NGRAMS)
def test_top_ngrams_at_the_threshold(n: int) -> None:
    # 100 words of 10 characters, in which one n-gram occurs as often as it takes.
    limit = dict(zip(TOP_NGRAMS, CONFIG.max_top_ngram_share, strict=True))[n]
    gram = [f"gram{place:06d}" for place in range(n)]
    words: list[str] = []
    times = round(limit * 100) // n  # 10 of 2, 6 of 3, 4 of 4: at the threshold exactly
    assert times * n == round(limit * 100)
    for number in range(times):
        words += [*gram, f"{number:010d}"]
    others = [f"x{number:09d}" for number in range(1000)]
    limits = tuple(limit if m == n else 1.0 for m in TOP_NGRAMS)
    config = dataclasses.replace(CONFIG, max_top_ngram_share=limits)
    inside = words + others[: 100 - len(words)]
    assert repetition(" ".join(inside), config) is None
    outside = inside[:-n] + gram
    assert repetition(" ".join(outside), config) is PageRule(f"top_{n}_gram")


@pytest.mark.parametrize("n", DUPLICATE_NGRAMS)
def test_duplicate_ngrams_at_the_threshold(n: int) -> None:
    # One n-gram twice, between words of a length that makes its share what the threshold is.
    limit = dict(zip(DUPLICATE_NGRAMS, CONFIG.max_duplicate_ngram_share, strict=True))[n]
    gram = [f"gram{place:06d}" for place in range(n)]
    in_grams = 2 * n * 10
    left = round(in_grams / limit) - in_grams + (in_grams / round(in_grams / limit) > limit)

    def text(num_characters: int) -> str:
        others = [f"x{number:09d}" for number in range(num_characters // 10 - 1)]
        others.append("y" * (10 + num_characters % 10))
        half = len(others) // 2
        return " ".join([*gram, *others[:half], *gram, *others[half:]])

    open_config = dataclasses.replace(CONFIG, max_top_ngram_share=(1.0, 1.0, 1.0))
    assert in_grams / (in_grams + left) <= limit < in_grams / (in_grams + left - 1)
    # Shorter n-grams repeat as well, but their limits are higher.
    assert repetition(text(left), open_config) is None
    assert repetition(text(left - 1), open_config) is PageRule(f"duplicate_{n}_grams")


def test_text_without_repetition_is_kept() -> None:
    assert repetition(good_text(), CONFIG) is None
    assert repetition(good_text() + "\n\n" + good_text(), CONFIG) is PageRule.DUPLICATE_LINES
