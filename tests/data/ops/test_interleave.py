"""Tags, `<EOC>` and chunks, on the paper's own example and with the packaged vocabulary."""

from __future__ import annotations

import re

import numpy as np

from flamingo_jax.data import schema, vocabulary
from flamingo_jax.data.ops.interleave import interleave

WORLD = vocabulary.load("world")
EOC = WORLD.end_of_chunk_id
TAG = WORLD.encode("<image>")
PETS = (
    "Cute pics of my pets!",
    "My puppy sitting in the grass.",
    "My cat looking very dignified.",
)


class Words:
    """A vocabulary of whole words and punctuation marks, as the paper's figure cuts the text."""

    end_of_chunk_id = 99

    def encode(self, text: str) -> list[int]:
        return [10 + len(word) for word in re.findall(r"\w+|[^\w\s]", text)]


def test_phi_of_the_papers_figure() -> None:
    tokens = interleave(PETS, Words())
    # The figure's row: 8 zeros, 11 ones, 10 twos; it ends before <EOS>.
    assert tokens.text[-1] == schema.EOS_ID
    assert tokens.chunk[:-1].tolist() == [0] * 8 + [1] * 11 + [2] * 10
    assert np.flatnonzero(tokens.text == 99).tolist() == [7, 18, 28]
    # phi becomes i at the first of the tag's three tokens: "<", "image", ">".
    assert tokens.text[8:11].tolist() == tokens.text[19:22].tolist() == [11, 15, 11]
    assert tokens.chunk[7:9].tolist() == [0, 1]
    assert tokens.chunk[18:20].tolist() == [1, 2]


def test_the_same_page_in_the_packaged_vocabulary() -> None:
    tokens = interleave(PETS, WORLD)
    zero, one, two = (WORLD.encode(chunk) for chunk in PETS)
    expected = [
        *(schema.BOS_ID, *zero, EOC),
        *(*TAG, *one, EOC),
        *(*TAG, *two, EOC, schema.EOS_ID),
    ]
    assert tokens.text.tolist() == expected
    lengths = (len(zero) + 2, len(one) + 4, len(two) + 5)
    assert tokens.chunk.tolist() == np.repeat([0, 1, 2], lengths).tolist()
    assert tokens.text.dtype == tokens.chunk.dtype == np.int32


def test_a_pair_has_one_end_of_chunk() -> None:
    tokens = interleave(("", "a red seven"), WORLD)
    red = WORLD.encode("a red seven")
    assert tokens.text.tolist() == [schema.BOS_ID, *TAG, *red, EOC, schema.EOS_ID]
    assert tokens.chunk.tolist() == [0] + [1] * (len(red) + 5)


def test_an_empty_chunk_between_pictures_is_closed() -> None:
    tokens = interleave(("", "", ""), WORLD)
    expected = [schema.BOS_ID, *TAG, EOC, *TAG, EOC, schema.EOS_ID]
    assert tokens.text.tolist() == expected
    assert tokens.chunk.tolist() == [0] + [1] * 4 + [2] * 5


def test_a_prompt_stays_open() -> None:
    whole = interleave(("", "Output: red", "Output:"), WORLD)
    prompt = interleave(("", "Output: red", "Output:"), WORLD, ends=False)
    assert whole.text[-2:].tolist() == [EOC, schema.EOS_ID]
    assert prompt.text.tolist() == whole.text[:-2].tolist()
    assert prompt.chunk.tolist() == whole.chunk[:-2].tolist()
    assert np.count_nonzero(prompt.text == EOC) == 1


def test_text_alone() -> None:
    words = WORLD.encode("no picture")
    tokens = interleave(("no picture",), WORLD)
    assert tokens.text.tolist() == [schema.BOS_ID, *words, EOC, schema.EOS_ID]
    assert not tokens.chunk.any()
