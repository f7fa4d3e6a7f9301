"""Batches: their contract for every source and stage, going on from any position, their ops."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import mixtures, schema, vocabulary
from flamingo_jax.data.sources import documentation

WORLD = vocabulary.load("world")
EOC = WORLD.end_of_chunk_id
B, T = 3, 48
TEXT = {"text": ("int32", (B, T))}
SCORED = TEXT | {"loss_weight": ("float32", (B, T))}
PHI = SCORED | {"media_index": ("int32", (B, T))}
CASES = {
    ("flamingo", "world/pages"): ({"max_images": 5}, PHI, (5, 1)),
    ("flamingo", "world/noisy_pairs"): ({}, PHI, (1, 1)),
    ("flamingo", "world/clean_pairs"): ({}, PHI, (1, 1)),
    ("flamingo", "world/clips"): ({"num_frames": 4}, PHI, (1, 4)),
    ("contrastive", "world/noisy_pairs"): ({}, TEXT, (1, 1)),
    ("contrastive", "world/clean_pairs"): ({}, TEXT, (1, 1)),
    ("language_model", "world/text"): ({"max_images": 0}, SCORED, None),
    ("language_model", "text/documentation"): ({"max_images": 0}, SCORED, None),
}


def _dataset(source: str, **fields: Any) -> DatasetConfig:
    sizes = {"batch_size": B, "loss_weight": 1.0, "max_text_length": T}
    return DatasetConfig(**({"name": "mine", "source": source} | sizes | fields))


def _take(
    stage: str, dataset: DatasetConfig, count: int, start: int = 0
) -> list[tuple[mixtures.Batch, int]]:
    return list(itertools.islice(mixtures.batches(dataset, WORLD, stage, start), count))


def _rows(stage: str, dataset: DatasetConfig, count: int, start: int = 0) -> mixtures.Batch:
    """`count` examples in one batch."""
    batches = _take(stage, dataset, -(-count // dataset.batch_size), start)
    return {
        key: np.concatenate([batch[key] for batch, _ in batches])[:count] for key in batches[0][0]
    }


def _equal(first: mixtures.Batch, second: mixtures.Batch) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(first[key], second[key]) for key in first
    )


@pytest.mark.parametrize(("stage", "source"), CASES)
def test_batches_keep_the_contract(stage: str, source: str) -> None:
    fields, expected, images_and_frames = CASES[stage, source]
    if images_and_frames:
        media = ("uint8", (B, *images_and_frames, 24, 24, 3))
        expected = expected | {"media": media}
    for number, (batch, position) in enumerate(_take(stage, _dataset(source, **fields), 2)):
        assert position == (number + 1) * B
        found = {key: (array.dtype.name, array.shape) for key, array in batch.items()}
        assert found == expected
        assert batch["text"].max() <= EOC
        if "loss_weight" in batch:
            assert (batch["text"][:, 0] == schema.BOS_ID).all()
            scored = batch["text"] != schema.PAD_ID
            scored[:, 0] = False
            assert (batch["loss_weight"] == scored).all()
        if "media_index" in batch:
            assert batch["media_index"].max() <= images_and_frames[0]
            assert not batch["media_index"][batch["text"] == schema.PAD_ID].any()


@pytest.mark.parametrize(("stage", "source"), CASES)
def test_going_on_from_any_position(stage: str, source: str) -> None:
    dataset = _dataset(source, **CASES[stage, source][0])
    whole = _take(stage, dataset, 4)
    for done in (1, 3):
        resumed = _take(stage, dataset, 4 - done, start=whole[done - 1][1])
        for (before, position), (after, position_after) in zip(whole[done:], resumed, strict=True):
            assert position == position_after
            assert _equal(before, after)
    # A position need not be a multiple of the batch size, nor near.
    row = _rows(stage, dataset, 4 * B)
    shifted = _rows(stage, dataset, B, start=2)
    assert _equal({key: array[2 : 2 + B] for key, array in row.items()}, shifted)
    assert _take(stage, dataset, 1, start=10**15)[0][1] == 10**15 + B


def test_another_seed_or_split_is_another_stream() -> None:
    first, seed, split = (
        _rows("flamingo", _dataset("world/pages", max_images=5, **fields), B)
        for fields in ({}, {"seed": 1}, {"split": "test"})
    )
    for other in (seed, split):
        assert not np.array_equal(first["media"], other["media"])
        assert not np.array_equal(first["text"], other["text"])


def test_epochs_of_a_finite_source_differ_and_go_on() -> None:
    size = len(documentation.documents_of_split("test"))
    dataset = _dataset("text/documentation", split="test", max_text_length=16, batch_size=5)
    rows = _rows("language_model", dataset, 2 * size)["text"]
    first, second = rows[:size], rows[size:]
    # Windows are anew at every position; the last 16 tokens' documents are not all alike.
    assert not np.array_equal(first, second)
    assert {row.tobytes() for row in first} != {row.tobytes() for row in second}
    over_the_border = _rows("language_model", dataset, 10, start=size - 5)["text"]
    assert np.array_equal(over_the_border, rows[size - 5 : size + 5])


def test_pages_have_a_picture_for_every_tag() -> None:
    batch = _rows("flamingo", _dataset("world/pages", max_images=6, max_text_length=200), 60)
    num_pictures = batch["media"].any((2, 3, 4, 5)).sum(1)
    assert set(num_pictures) == {4, 5, 6}
    assert np.array_equal((batch["text"] == WORLD.encode("image")[0]).sum(1), num_pictures)
    assert np.array_equal((batch["text"] == EOC).sum(1), num_pictures)
    assert np.array_equal(batch["media_index"].max(1), num_pictures)
    for text, phi, count in zip(batch["text"], batch["media_index"], num_pictures, strict=True):
        steps = np.flatnonzero(np.diff(phi[: np.argmax(text == schema.EOS_ID)]))
        # phi goes up by one right behind <BOS> or an <EOC>, at the tag's first token.
        assert len(steps) == count
        assert set(text[steps]) <= {schema.BOS_ID, EOC}
        assert all(WORLD.piece(text[step + 1]) == "<" for step in steps)


def test_half_of_the_pages_look_at_the_next_picture() -> None:
    fields = {"max_images": 4, "max_text_length": 200}
    before = _rows("flamingo", _dataset("world/pages", **fields), 120)
    drawn = _rows("flamingo", _dataset("world/pages", p_next=0.5, **fields), 120)
    after = _rows("flamingo", _dataset("world/pages", p_next=1.0, **fields), 120)
    for key in ("media", "text", "loss_weight"):
        assert np.array_equal(before[key], drawn[key])
        assert np.array_equal(before[key], after[key])
    assert (after["media_index"][:, 0] == 1).all()
    sees_next = drawn["media_index"][:, 0] == 1
    assert 38 < sees_next.sum() < 82  # within four standard deviations
    expected = np.where(sees_next[:, None], after["media_index"], before["media_index"])
    assert np.array_equal(drawn["media_index"], expected)


@pytest.mark.parametrize("stage", ["flamingo", "contrastive"])
def test_half_of_the_pairs_begin_with_a_space(stage: str) -> None:
    skipped = 1 + len(WORLD.encode("<image>")) if stage == "flamingo" else 0
    spaced = {}
    for share in (0.0, 0.5, 1.0):
        dataset = _dataset("world/clean_pairs", leading_space_probability=share, batch_size=20)
        text = _rows(stage, dataset, 120)["text"]
        said = [WORLD.decode(row[skipped:]) for row in text]
        spaced[share] = sum(words.startswith(" ") for words in said)
    assert spaced[0.0] == 0
    assert 38 < spaced[0.5] < 82
    assert spaced[1.0] == 120


def test_contrastive_text_is_plain() -> None:
    text = _rows("contrastive", _dataset("world/clean_pairs"), 30)["text"]
    for token in (schema.BOS_ID, schema.EOS_ID, EOC, WORLD.encode("image")[0]):
        assert not (text == token).any()
    assert all("on" in WORLD.decode(row) for row in text)


def test_texts_end_where_their_documents_end() -> None:
    world = _rows("language_model", _dataset("world/text", max_text_length=400), 20)["text"]
    assert ((world == schema.EOS_ID).sum(1) == 1).all()
    long = _rows("language_model", _dataset("text/documentation", max_text_length=32), 60)["text"]
    ends = (long == schema.EOS_ID).sum(1)
    assert ends.max() <= 1
    assert ends.mean() < 0.3
    assert ((long != schema.PAD_ID).mean(1) == 1).mean() > 0.7


def test_a_mistake_is_told_by_the_call_itself() -> None:
    with pytest.raises(UserError, match="did you mean 'world/clips'"):
        mixtures.batches(_dataset("world/clip"), WORLD, "flamingo")
    with pytest.raises(ValueError, match="a position is at least 0"):
        mixtures.batches(_dataset("world/text"), WORLD, "language_model", start=-1)


def test_a_broken_contract_is_told() -> None:
    from flamingo_jax.data.tasks.examples import Output

    outputs = {"text": Output(dtype=np.int32, shape=(T,))}
    dataset = _dataset("world/text")
    mixtures._check({"text": np.zeros((B, T), np.int32)}, outputs, dataset, B)
    for batch in ({"text": np.zeros((B, T))}, {"text": np.zeros((B, T + 1), np.int32)}, {}):
        with pytest.raises(ValueError, match="dataset 'mine': batch of"):
            mixtures._check(batch, outputs, dataset, B)
