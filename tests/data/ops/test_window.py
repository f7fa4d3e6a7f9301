"""Windows of long texts."""

from __future__ import annotations

import numpy as np

from flamingo_jax.data import schema, seeds, vocabulary
from flamingo_jax.data.ops.window import (
    document_tokens,
    random_tokens,
    random_window,
    word_starts,
)

WORLD = vocabulary.load("world")
TEXT = " ".join(f"word{number}" for number in range(200))


def _windows(text: str, length: int, count: int = 300) -> list[tuple[str, bool]]:
    return [
        random_window(text, length, seeds.generator(0, "window", "train", number))
        for number in range(count)
    ]


def test_windows_stand_in_the_text_and_begin_with_a_word() -> None:
    for window, ends in _windows(TEXT, 60):
        assert window in TEXT
        assert window.startswith("word")
        assert 50 < len(window) <= 60
        assert ends == TEXT.endswith(window)


def test_windows_reach_every_part() -> None:
    starts = [TEXT.index(window) / (len(TEXT) - 60) for window, _ in _windows(TEXT, 60)]
    assert min(starts) < 0.05
    assert max(starts) > 0.95
    assert 0.45 < sum(starts) / len(starts) < 0.55


def test_a_short_text_is_kept_whole() -> None:
    assert set(_windows("short text", 60, 5)) == {("short text", True)}


def test_a_text_without_spaces_has_windows_too() -> None:
    for window, _ in _windows("x" * 100, 10, 20):
        assert window == "x" * 10


def test_only_the_end_of_a_document_gets_eos() -> None:
    words = WORLD.encode("the end")
    assert document_tokens("the end", True, WORLD).tolist() == [
        schema.BOS_ID,
        *words,
        schema.EOS_ID,
    ]
    assert document_tokens("the end", False, WORLD).tolist() == [schema.BOS_ID, *words]


def _parts(tokens: np.ndarray, length: int, begins_word: np.ndarray, count: int) -> list[list[int]]:
    return [
        random_tokens(tokens, length, begins_word, np.random.default_rng(seed)).tolist()
        for seed in range(count)
    ]


def test_parts_begin_with_bos_at_a_words_start() -> None:
    tokens = document_tokens(TEXT, True, WORLD)
    inside = tokens.tolist()[1:]
    begins_word = word_starts(WORLD)
    seen = set()
    for part in _parts(tokens, 20, begins_word, 200):
        assert part[0] == schema.BOS_ID
        assert len(part) == 20
        places = [i for i in range(len(inside)) if inside[i : i + 19] == part[1:]]
        assert places
        assert 0 in places or begins_word[part[1]]
        seen.add(places[0])
    assert min(seen) < 0.1 * (len(inside) - 19)
    assert max(seen) > 0.9 * (len(inside) - 19)
    assert len(seen) > 20


def test_every_place_is_as_likely_where_there_are_no_words() -> None:
    tokens = np.arange(100, dtype=np.int32)
    parts = _parts(tokens, 50, np.zeros(100, bool), 3000)
    starts = np.array([part[1] for part in parts])
    assert all(part == [0, *range(part[1], part[1] + 49)] for part in parts)
    # The first 16 places are moved to the beginning, which begins a word whatever its token.
    assert set(starts) == {1, *range(18, 52)}
    counts = np.bincount(starts)[18:]
    assert counts.min() > 25
    assert counts.max() < 100


def test_a_part_of_all_tokens_is_the_document() -> None:
    tokens = document_tokens("all of it", True, WORLD)
    assert _parts(tokens, len(tokens), word_starts(WORLD), 3) == [tokens.tolist()] * 3


def test_word_starts_are_tokens_with_a_space() -> None:
    begins_word = word_starts(WORLD)
    assert begins_word.shape == (WORLD.size,)
    for token in np.flatnonzero(begins_word):
        assert WORLD.decode([WORLD.encode("x")[0], token]).startswith("x ")
    assert not begins_word[schema.EOS_ID]
    assert 0.1 < begins_word.mean() < 0.9
