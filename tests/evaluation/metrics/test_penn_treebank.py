"""The tokenizer: words as Stanford's PTBTokenizer gives them (expected values are its output)."""

from __future__ import annotations

import pytest

from flamingo_jax.evaluation.metrics.penn_treebank import tokenize, tokenize_captions
from tests.evaluation.metrics import golden


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A red 7, then a blue 3.", "a red 7 then a blue 3"),
        ("red digits: 3, 4 and 5.", "red digits 3 4 and 5"),
        (
            "He can't, won't and shouldn't've gone (it's 3,000 men).",
            "he ca n't wo n't and should n't 've gone -lrb- it 's 3,000 men -rrb-",
        ),
        ("A man -- old -- on t-shirt; dog's bone...", "a man old on t-shirt dog 's bone"),
        ("2.5 and/or 50% $5 #1 @ the store", "2.5 and/or 50 % $ 5 # 1 @ the store"),
        (
            "I cannot go. You're gonna see the boys' dog 's tail",
            "i can not go you 're gon na see the boys dog 's tail",
        ),
        ("\"quoted\" 'text' [x] {y} & more!", "quoted text -lsb- x -rsb- -lcb- y -rcb- & more"),
        (
            "o'clock dont 1/2 2nd 80's it'd we'll I'm",
            "o'clock dont 1/2 2nd 80 's it 'd we 'll i 'm",
        ),
        ("U.S. army Mr. Smith's", "u.s. army mr. smith 's"),
        ("norman a. daniels", "norman a. daniels"),
        ("no. no", "no no"),
        ("  two\n lines ", "two lines"),
        ("", ""),
    ],
)
def test_tokenize(text: str, expected: str) -> None:
    assert " ".join(tokenize(text)) == expected


def test_all_stored_sentences_together() -> None:
    sentences = golden.load("caption_sentences.json")
    expected = golden.load("captions.json")["tokens"]
    assert len(sentences) == len(expected) > 100
    assert tokenize_captions(sentences) == expected


def test_stored_sentences_alone() -> None:
    sentences = golden.load("caption_sentences.json")
    expected = [text.split() for text in golden.load("captions.json")["tokens_alone"]]
    assert [tokenize(sentence) for sentence in sentences] == expected


def test_the_next_caption_decides_about_a_letter_with_a_stop() -> None:
    assert tokenize_captions(["Plan B.", "A man sits"])[0] == "plan b"
    assert tokenize_captions(["Plan B.", "Two men sit"])[0] == "plan b."
    assert tokenize_captions(["See no.", "5 apples"])[0] == "see no."
    assert tokenize_captions(["See no.", "Five apples"])[0] == "see no"


def test_line_breaks_within_a_caption_are_spaces() -> None:
    # The Java tokenizer would end the line there, and give the rest to the next caption.
    assert tokenize_captions(["a\ncat\r\non\u2028a mat", "two"]) == ["a cat on a mat", "two"]


def test_no_captions_and_empty_ones() -> None:
    assert tokenize_captions([]) == []
    assert tokenize_captions(["", " ", "", "..."]) == ["", "", "", ""]


def test_a_fraction_is_one_token_and_two_words() -> None:
    assert tokenize_captions(["5 1/2 apples"]) == ["5\u00a01/2 apples"]
    assert tokenize("5 1/2 apples") == ["5", "1/2", "apples"]


def test_long_texts_take_linear_time() -> None:
    # Quadratic time would be minutes.
    assert len(tokenize("a dog's ball. " * 5_000)) == 20_000
