"""Windows of long texts."""

from __future__ import annotations

from flamingo_jax.data import schema, seeds, vocabulary
from flamingo_jax.data.ops.window import document_tokens, random_window

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
