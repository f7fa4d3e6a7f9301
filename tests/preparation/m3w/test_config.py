"""Thresholds out of config files and command lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.preparation.m3w.config import M3WConfig, load_config

REPOSITORY = Path(__file__).parents[3]


def test_the_file_of_the_repository_has_the_defaults() -> None:
    file = str(REPOSITORY / "configs" / "prepare_m3w.py")
    assert load_config(file, []) == load_config("", []) == M3WConfig()


def test_gopher_and_paper() -> None:
    config = M3WConfig()
    assert (config.min_words, config.max_words) == (50, 100_000)
    assert (config.min_mean_word_length, config.max_mean_word_length) == (3, 10)
    assert config.max_top_ngram_share == (0.20, 0.18, 0.16)
    assert config.max_duplicate_ngram_share == (0.15, 0.14, 0.13, 0.12, 0.11, 0.10)
    assert (config.min_image_side, config.max_aspect_ratio) == (64, 3.0)


def test_overrides(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def get_config():\n  return {'min_words': 10, 'max_aspect_ratio': 4}\n")
    overrides = [
        "--config.min_words=20", "--config.blocked_words=a b,c", "--config.min_english_share=0.3",
        "--config.max_top_ngram_share=.3,.2,.1",
    ]  # fmt: skip
    config = load_config(str(file), overrides)
    assert config == M3WConfig(
        min_words=20, max_aspect_ratio=4.0, blocked_words=("a b", "c"), min_english_share=0.3,
        max_top_ngram_share=(0.3, 0.2, 0.1),
    )  # fmt: skip
    assert load_config("", ["--config.blocked_words="]).blocked_words == ()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.min_word=5", "config.min_word does not exist: did you mean config.min_words?"),
        ("--config.min_words", "has no value"),
        ("--config.min_words=many", "expected a value of type int"),
        ("--config.min_words=0", "config.min_words is 0: expected at least 1"),
        ("--config.max_top_ngram_share=0.1,0.2", "3 shares from 0 to 1"),
        ("--config.max_top_ngram_share=0.1,a,0.2", "type tuple"),
    ],
)
def test_wrong_overrides(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        load_config("", [override])


@pytest.mark.parametrize(
    "fields",
    [
        {"min_english_share": 1.5},
        {"max_link_share": -0.1},
        {"min_words": 60, "max_words": 50},
        {"min_mean_word_length": 11.0},
        {"max_duplicate_ngram_share": (0.1,)},
        {"max_aspect_ratio": 0.5},
        {"near_duplicate_cosine": 0.0},
        {"jpeg_quality": 100},
        {"num_shards": 0},
        {"single_colour_range": -1},
        {"blocked_words": ("a", " ")},
    ],
)
def test_wrong_values(fields: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"config.{next(iter(fields))} is "):
        M3WConfig(**fields)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no file"),
        ("x = 1", "AttributeError"),
        ("def get_config(): return 1 / 0", "ZeroDivisionError"),
        ("def", "SyntaxError"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "c.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=message):
        load_config(str(file), [])
