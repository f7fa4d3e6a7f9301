"""The packaged vocabulary: control ids, the tag, whole words, borders of chunks."""

from __future__ import annotations

from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import grammar, schema, seeds, text_world, vocabulary, world

WORLD = vocabulary.load("world")


def test_ids_follow_the_schema() -> None:
    assert WORLD.size == 1024
    assert WORLD.end_of_chunk_id == 1024
    pieces = [WORLD.piece(token) for token in (0, 1, 2, 3, WORLD.end_of_chunk_id)]
    assert pieces == ["<pad>", "</s>", "<unk>", "<s>", "<EOC>"]


def test_the_tag_is_plain_text_of_three_pieces() -> None:
    assert [WORLD.piece(token) for token in WORLD.encode(schema.IMAGE_TAG)] == ["<", "image", ">"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "a red seven on black",
        " two  spaces ",
        "line\nline",
        "naïve 雪 🦩!",
        "<image>",
        "\t",
    ],
)
def test_text_comes_back_whole(text: str) -> None:
    ids = WORLD.encode(text)
    assert all(schema.UNKNOWN_ID < token < WORLD.size for token in ids)
    assert WORLD.decode(ids) == text


def test_decoding_leaves_control_ids_out() -> None:
    red = WORLD.encode(" red")
    ids = [schema.BOS_ID, *red, WORLD.end_of_chunk_id, schema.EOS_ID, schema.PAD_ID]
    assert WORLD.decode(ids) == " red"


def test_words_and_names_are_one_piece_each() -> None:
    words = {*grammar.NAMES, *text_world._WORDS, *grammar.DIGIT_WORDS}
    words |= {word for values in grammar.ATTRIBUTES.values() for word in values}
    assert {word for word in words if len(WORLD.encode(f" {word}")) != 1} == set()


def test_encoding_is_compositional_at_the_borders_of_chunks() -> None:
    checked = 0
    for number in range(60):
        page = world.page(seeds.generator(0, "borders", "train", number), "train", 4)
        for chunk in page.chunks[1:]:
            tagged = WORLD.encode(schema.IMAGE_TAG + chunk)
            assert tagged == WORLD.encode(schema.IMAGE_TAG) + WORLD.encode(chunk)
            # A prompt ends before the space of the word that is asked for.
            before, space, word = chunk.rpartition(" ")
            assert WORLD.encode(before) + WORLD.encode(space + word) == WORLD.encode(chunk)
            checked += 1
    assert checked == 240


def test_no_space_is_put_in_front() -> None:
    assert WORLD.encode("red") != WORLD.encode(" red")


def test_seqio_sees_the_same_ids_and_one_more() -> None:
    for_seqio = WORLD.for_seqio()
    assert for_seqio.vocab_size == WORLD.end_of_chunk_id + 1
    text = "<image>Output: two red sevens on black\n"
    assert list(for_seqio.encode(text)) == WORLD.encode(text)


def test_one_object_a_name() -> None:
    assert vocabulary.load("world") is WORLD
    assert vocabulary.load(str(WORLD.path)).encode("a dax") == WORLD.encode("a dax")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.model does not exist.*world"):
        vocabulary.load(str(tmp_path / "absent.model"))


def test_a_file_that_is_no_vocabulary_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.model"
    path.write_text("not a model")
    with pytest.raises(UserError, match=r"other\.model is no SentencePiece model"):
        vocabulary.load(str(path))
