"""The tokenizer: words as Stanford's PTBTokenizer gives them (expected values are its output)."""

from __future__ import annotations

import pytest

from flamingo_jax.evaluation.metrics.penn_treebank import tokenize


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
