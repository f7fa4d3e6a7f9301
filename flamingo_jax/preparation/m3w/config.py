"""The thresholds of all rules, in one place.

Numbers of the text rules are Gopher's (arXiv 2112.11446, appendix A.1.1 and table A1), those of the
picture rules Flamingo's (appendix A.3.1). What neither gives is ours, and marked so.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flamingo_jax.config import build, check
from flamingo_jax.core.errors import UserError

TOP_NGRAMS = (2, 3, 4)
"""Lengths of the n-grams whose most frequent one must not fill a page."""

DUPLICATE_NGRAMS = (5, 6, 7, 8, 9, 10)
"""Lengths of the n-grams that must not be repeated all over a page."""

_SHARES = (
    "min_english_share", "max_link_share", "max_bullet_line_share", "max_ellipsis_line_share",
    "min_alphabetic_word_share", "max_duplicate_line_share", "max_duplicate_paragraph_share",
    "max_duplicate_line_character_share", "max_duplicate_paragraph_character_share",
)  # fmt: skip
_AT_LEAST_ONE = (
    "min_block_words", "min_words", "max_words", "max_page_bytes", "max_image_bytes", "num_shards",
    "min_image_side",
)  # fmt: skip
_AT_LEAST_ZERO = (
    "max_symbol_to_word_ratio", "min_mean_word_length", "max_mean_word_length", "min_stop_words",
    "single_colour_range", "max_image_side",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class M3WConfig:
    """What is kept. A value at a threshold passes.

    Attributes:
        max_page_bytes: larger HTML counts as unreadable (ours).
        min_block_words: text at one level of the tree is body text from so many words on (ours).
        max_link_share: a level with more of its words in links is a menu (ours).
        min_english_share: least share of words that are English function words (ours).
        blocked_words: a page with one of them is dropped; stands in for the paper's SafeSearch.
        min_words: words of a page, and of nothing but whitespace between them.
        max_words: see `min_words`.
        min_mean_word_length: characters of a word, in the mean.
        max_mean_word_length: see `min_mean_word_length`.
        max_symbol_to_word_ratio: hash marks per word, and ellipses per word.
        max_bullet_line_share: lines that begin with a bullet.
        max_ellipsis_line_share: lines that end with an ellipsis.
        min_alphabetic_word_share: words with a letter in them.
        min_stop_words: how many of the eight stop words the page must have.
        max_duplicate_line_share: lines that occur more than once.
        max_duplicate_paragraph_share: paragraphs that occur more than once.
        max_duplicate_line_character_share: characters in such lines.
        max_duplicate_paragraph_character_share: characters in such paragraphs.
        max_top_ngram_share: characters in the most frequent 2-, 3- and 4-gram.
        max_duplicate_ngram_share: characters in 5- to 10-grams that occur more than once.
        max_image_bytes: larger picture files are dropped unread (ours).
        min_image_side: least width and height of a picture, in pixels.
        max_aspect_ratio: longer by shorter side of a picture.
        single_colour_range: a picture in which no colour channel varies by more, of 255 levels, is
            of a single colour (ours).
        near_duplicate_cosine: from this cosine on, a picture is one of the evaluation pictures
            (ours).
        max_image_side: larger pictures are shrunk to it, in pixels; 0: none (ours).
        jpeg_quality: of pictures that are encoded anew (ours).
        num_shards: tar files of the output.
    """

    max_page_bytes: int = 5 << 20
    min_block_words: int = 10
    max_link_share: float = 0.5
    min_english_share: float = 0.2
    blocked_words: tuple[str, ...] = ()
    min_words: int = 50
    max_words: int = 100_000
    min_mean_word_length: float = 3.0
    max_mean_word_length: float = 10.0
    max_symbol_to_word_ratio: float = 0.1
    max_bullet_line_share: float = 0.9
    max_ellipsis_line_share: float = 0.3
    min_alphabetic_word_share: float = 0.8
    min_stop_words: int = 2
    max_duplicate_line_share: float = 0.30
    max_duplicate_paragraph_share: float = 0.30
    max_duplicate_line_character_share: float = 0.20
    max_duplicate_paragraph_character_share: float = 0.20
    max_top_ngram_share: tuple[float, ...] = (0.20, 0.18, 0.16)
    max_duplicate_ngram_share: tuple[float, ...] = (0.15, 0.14, 0.13, 0.12, 0.11, 0.10)
    max_image_bytes: int = 20 << 20
    min_image_side: int = 64
    max_aspect_ratio: float = 3.0
    single_colour_range: int = 8
    near_duplicate_cosine: float = 0.95
    max_image_side: int = 640
    jpeg_quality: int = 90
    num_shards: int = 16

    def __post_init__(self) -> None:
        for name in _SHARES:
            value = getattr(self, name)
            check(0.0 <= value <= 1.0, name, value, "a share from 0 to 1")
        for name in _AT_LEAST_ONE:
            value = getattr(self, name)
            check(value >= 1, name, value, "at least 1")
        for name in _AT_LEAST_ZERO:
            value = getattr(self, name)
            check(value >= 0, name, value, "at least 0")
        for low, high in (
            ("min_words", "max_words"), ("min_mean_word_length", "max_mean_word_length"),
        ):  # fmt: skip
            least, most = getattr(self, low), getattr(self, high)
            check(least <= most, low, least, f"at most {high} {most}")
        for name, lengths in (
            ("max_top_ngram_share", TOP_NGRAMS), ("max_duplicate_ngram_share", DUPLICATE_NGRAMS),
        ):  # fmt: skip
            shares = getattr(self, name)
            fits = len(shares) == len(lengths) and all(0.0 <= share <= 1.0 for share in shares)
            expected = f"{len(lengths)} shares from 0 to 1, for n = {lengths[0]} to {lengths[-1]}"
            check(fits, name, shares, expected)
        check(self.max_aspect_ratio >= 1.0, "max_aspect_ratio", self.max_aspect_ratio, "at least 1")
        cosine = self.near_duplicate_cosine
        check(0.0 < cosine <= 1.0, "near_duplicate_cosine", cosine, "above 0, at most 1")
        check(1 <= self.jpeg_quality <= 95, "jpeg_quality", self.jpeg_quality, "from 1 to 95")
        words = self.blocked_words
        check(all(word.strip() for word in words), "blocked_words", words, "words, none empty")


def load_config(file: str, overrides: Sequence[str]) -> M3WConfig:
    """The thresholds of a config file with the changes of the command line.

    Args:
        file: Python file with `get_config()`, such as `configs/prepare_m3w.py`; empty: defaults.
        overrides: `--config.FIELD=VALUE` each; items of a list are parted by commas.

    Returns:
        The thresholds.

    Raises:
        UserError: there is no such file, it has no `get_config`, or a field or value is wrong.
    """
    fields = _read(file) if file else {}
    hints = {field.name: str(field.type) for field in dataclasses.fields(M3WConfig)}
    for override in overrides:
        name, equals, value = override.removeprefix("--config.").partition("=")
        if not equals:
            raise UserError(f"{override!r} has no value: write --config.FIELD=VALUE")
        # `build` names unknown fields, with the nearest one that exists.
        fields[name] = _parse(hints.get(name, "str"), value, override)
    config: M3WConfig = build(M3WConfig, fields, "config")
    return config


def _read(file: str) -> dict[str, Any]:
    if not Path(file).is_file():
        raise UserError(f"--config names {file!r}, which is no file")
    # Loaded under its own name, so that two files called alike do not get in each other's way.
    spec = importlib.util.spec_from_file_location(f"prepare_config_{abs(hash(file))}", file)
    if spec is None or spec.loader is None:
        raise UserError(f"--config names {file!r}, which is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        config = module.get_config()
    except Exception as error:  # The file is the user's program: whatever it raises is his.
        raise UserError(f"--config={file}: {type(error).__name__}: {error}") from error
    return dict(config)


def _parse(hint: str, value: str, override: str) -> Any:
    try:
        if hint.startswith("tuple[str"):
            return tuple(part for part in value.split(",") if part)
        if hint.startswith("tuple[float"):
            return tuple(float(part) for part in value.split(","))
        return {"int": int, "float": float}.get(hint, str)(value)
    except ValueError:
        raise UserError(f"{override!r}: expected a value of type {hint}") from None
