"""Telling English from its neighbours, on short texts: pages have ten times as many words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flamingo_jax.preparation.m3w.config import M3WConfig
from flamingo_jax.preparation.m3w.english import common_word_shares, is_english

TEXTS = json.loads((Path(__file__).parent / "languages.json").read_text(encoding="utf-8"))
ENGLISH: dict[str, str] = TEXTS["english"]
"""Kinds of text."""

OTHERS: dict[str, str] = TEXTS["other"]
"""Article 1 of the Universal Declaration of Human Rights; some of the languages have no list of
words in `english.py`."""

MIN_SHARE = M3WConfig().min_english_share


@pytest.mark.parametrize("kind", ENGLISH)
def test_english_of_all_kinds_is_english(kind: str) -> None:
    assert is_english(ENGLISH[kind], MIN_SHARE)


@pytest.mark.parametrize("language", OTHERS)
def test_other_languages_are_not(language: str) -> None:
    assert not is_english(OTHERS[language], MIN_SHARE)


def test_pages_of_two_languages_go_by_the_larger_part() -> None:
    assert is_english(ENGLISH["news"] + OTHERS["danish"], MIN_SHARE)
    assert not is_english(ENGLISH["product"] + 4 * OTHERS["french"], MIN_SHARE)


def test_threshold() -> None:
    text = "the cat sat upstairs quietly"  # One word of five.
    assert common_word_shares(text)["english"] == 0.2
    assert is_english(text, 0.2)
    assert not is_english(text, 0.21)
    # Another language must not explain as much.
    assert not is_english("the cat die katze", 0.2)


def test_capitals_do_not_matter() -> None:
    assert is_english(ENGLISH["manual"].upper(), MIN_SHARE)
