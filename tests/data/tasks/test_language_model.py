"""Rows of text: one document or several, every one of them once an epoch, from any position."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data import mixtures, schema, vocabulary

WORLD = vocabulary.load("world")
T, PER_ROW, ROWS = 160, 3, 4
# Of the files, some are longer than a row and some much shorter.
LENGTHS = (3, 200, 5, 9, 60, 4, 7, 30, 11, 2, 6, 90)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, length in enumerate(LENGTHS):
        words = [f"{number} ", *(f"word {place % 10} " for place in range(length))]
        (tmp_path / f"{number:02d}.txt").write_text("".join(words), "utf-8")
    return tmp_path


def dataset(folder: Path, **fields: Any) -> DatasetConfig:
    sizes = {"batch_size": ROWS, "loss_weight": 1.0, "max_text_length": T, "max_images": 0}
    files = {"source": "text/files", "paths": ("*.txt",), "data_dir": str(folder)}
    packed = {"documents_per_row": PER_ROW}
    return DatasetConfig(**({"name": "mine"} | sizes | files | packed | fields))


def take(
    config: DatasetConfig, count: int, start: int = 0, stage: str = "language_model"
) -> dict[str, np.ndarray]:
    found = [b for b, _ in itertools.islice(mixtures.batches(config, WORLD, stage, start), count)]
    return {key: np.concatenate([batch[key] for batch in found]) for key in found[0]}


def documents(batch: dict[str, np.ndarray]) -> list[list[int]]:
    """The tokens of every document, row by row."""
    return [
        text[segment == number].tolist()
        for text, segment in zip(batch["text"], batch["segment"], strict=True)
        for number in range(1, segment.max() + 1)
    ]


def whole(folder: Path, number: int) -> list[int]:
    text = (folder / f"{number:02d}.txt").read_text("utf-8").strip()
    return [schema.BOS_ID, *WORLD.encode(text), schema.EOS_ID]


def test_rows_hold_whole_documents_and_parts_of_long_ones(folder: Path) -> None:
    batch = take(dataset(folder, shuffle=False), 1)
    assert {key: (array.dtype.name, array.shape) for key, array in batch.items()} == {
        "text": ("int32", (ROWS, T)),
        "loss_weight": ("float32", (ROWS, T)),
        "segment": ("int32", (ROWS, T)),
    }
    found = documents(batch)
    assert len(found) == ROWS * PER_ROW == len(LENGTHS)
    num_whole = [0] * ROWS
    for number, tokens in enumerate(found):
        expected = whole(folder, number)
        assert tokens[0] == schema.BOS_ID
        inside = expected[1:]
        part = tokens[1:]
        assert any(inside[i : i + len(part)] == part for i in range(len(inside)))
        num_whole[number // PER_ROW] += tokens == expected
    assert all(num_whole)
    assert min(num_whole) < PER_ROW
    for text, segment in zip(batch["text"], batch["segment"], strict=True):
        assert np.array_equal(segment == 0, text == schema.PAD_ID)
        assert (np.diff(segment[segment > 0]) >= 0).all()
    is_full = (batch["segment"] > 0).all(1).tolist()
    assert is_full == [count < PER_ROW for count in num_whole]
    first_of_documents = np.diff(batch["segment"], prepend=0, axis=1) > 0
    assert (batch["text"][first_of_documents] == schema.BOS_ID).all()
    assert not batch["loss_weight"][first_of_documents].any()
    scored = (batch["text"] != schema.PAD_ID) & (batch["text"] != schema.BOS_ID)
    assert np.array_equal(batch["loss_weight"], scored)


def test_an_epoch_has_every_document_once(folder: Path) -> None:
    # A long row, so that nothing is cut and documents are known by their tokens.
    config = dataset(folder, max_text_length=4000)
    found = documents(take(config, 2))
    expected = sorted(whole(folder, number) for number in range(len(LENGTHS)))
    first, second = found[: len(LENGTHS)], found[len(LENGTHS) :]
    assert sorted(first) == sorted(second) == expected
    assert first != second


def test_rows_follow_from_their_position(folder: Path) -> None:
    rows = take(dataset(folder), 3)
    later = take(dataset(folder), 1, start=5)
    for key, array in later.items():
        assert np.array_equal(array, rows[key][5 : 5 + ROWS])


def test_parts_of_a_long_document_are_at_random_places(folder: Path) -> None:
    batch = take(dataset(folder, paths=("01.txt",), documents_per_row=1), 10)
    assert "segment" not in batch
    assert (batch["text"] != schema.PAD_ID).all()
    inside = whole(folder, 1)[1:]
    starts = [
        next(i for i in range(len(inside)) if inside[i : i + T - 1] == row[1:].tolist())
        for row in batch["text"]
    ]
    assert len({row.tobytes() for row in batch["text"]}) > 8
    assert min(starts) < len(inside) // 2


def test_the_flamingo_stage_gets_the_same_rows(folder: Path) -> None:
    for config in (dataset(folder), dataset(folder, documents_per_row=1)):
        rows, others = take(config, 2), take(config, 2, stage="flamingo")
        assert rows.keys() == others.keys()
        assert all(np.array_equal(rows[key], others[key]) for key in rows)


def test_texts_that_are_read_from_their_start_keep_it(folder: Path) -> None:
    config = dataset(folder, source="world/text", paths=(), max_text_length=64)
    alone = dataset(
        folder, source="world/text", paths=(), max_text_length=4000, documents_per_row=1,
        batch_size=ROWS * PER_ROW,
    )  # fmt: skip
    found = documents(take(config, 1))
    for tokens, row in zip(found, take(alone, 1)["text"], strict=True):
        assert tokens == row[: len(tokens)].tolist()
    assert any(tokens[-1] != schema.EOS_ID for tokens in found)
