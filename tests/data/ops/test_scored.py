"""Which tokens have a loss."""

from __future__ import annotations

import pytest

from flamingo_jax.data import vocabulary
from flamingo_jax.data.ops.interleave import interleave
from flamingo_jax.data.ops.scored import loss_weight

WORLD = vocabulary.load("world")
TAG = WORLD.encode("<image>")
CHUNKS = ("two red", "a cat", "")
BEFORE, CAT = (len(WORLD.encode(chunk)) for chunk in CHUNKS[:2])


@pytest.mark.parametrize(
    ("scored", "expected"),
    [
        ("all", [0] + [1] * (BEFORE + 1 + 2 * len(TAG) + CAT + 1 + 2)),
        ("after_first_image", [0] + [0] * (BEFORE + 1) + [1] * (2 * len(TAG) + CAT + 1 + 2)),
        (
            "text_of_images",
            [0] + [0] * (BEFORE + 1) + [0] * len(TAG) + [1] * (CAT + 1) + [0] * len(TAG) + [1, 1],
        ),
    ],
)
def test_scored_tokens_of_a_page(scored: str, expected: list[int]) -> None:
    tokens = interleave(CHUNKS, WORLD)
    length = len(tokens.text) + 3
    weight_T = loss_weight(tokens, scored, len(TAG), length)
    assert weight_T.tolist() == [*expected, 0, 0, 0]
    assert weight_T.dtype.name == "float32"


def test_a_pair_is_scored_from_its_text_on() -> None:
    tokens = interleave(("", "a cat"), WORLD)
    weight_T = loss_weight(tokens, "text_of_images", len(TAG), len(tokens.text))
    assert weight_T.tolist() == [0] + [0] * len(TAG) + [1] * (CAT + 2)


def test_another_word_is_refused() -> None:
    with pytest.raises(ValueError, match="scored is 'some'"):
        loss_weight(interleave(CHUNKS, WORLD), "some", len(TAG), 40)
