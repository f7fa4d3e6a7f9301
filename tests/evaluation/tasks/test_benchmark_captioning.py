"""Captioning of pictures from files: wording, references, and that a query never helps itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamingo_jax.config import EvaluationConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import vocabulary
from flamingo_jax.data.ops.interleave import interleave
from flamingo_jax.evaluation import fewshot
from flamingo_jax.evaluation.tasks.benchmark_captioning import BenchmarkCaptioning
from tests.evaluation import coco_files

WORLD = vocabulary.load("world")
NUM_PICTURES = len(coco_files.COLOURS)
NO_SIMILARITY = np.zeros((0, NUM_PICTURES))
WITH_SUPPORT = {
    "support_annotations": coco_files.ANNOTATIONS, "lead": "Output:", "text_examples": 2
}  # fmt: skip


def _task(folder: Path, seed: int = 0, shots: tuple[int, ...] = (0,), **changes: Any) -> Any:
    config = EvaluationConfig(seed=seed, shots=shots, split="train")
    return BenchmarkCaptioning(coco_files.benchmark(folder, **changes), config, 16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return coco_files.write(tmp_path)


def _colour(task: Any, index: int) -> str:
    """What query `index` shows, by its pixels."""
    pixel = tuple(task.query_media(index)[0, 8, 8].tolist())
    return next(name for name, colour in coco_files.COLOURS.items() if colour == pixel)


def test_queries_are_all_pictures_with_all_their_captions(folder: Path) -> None:
    task = _task(folder)
    assert task.name == "walls" and task.num_queries == NUM_PICTURES
    assert task.num_support == 0
    shown = [_colour(task, index) for index in range(NUM_PICTURES)]
    assert sorted(shown) == sorted(coco_files.COLOURS)
    for index, colour in enumerate(shown):
        assert task.query(index).references == coco_files.captions_of(colour)
        assert task.query(index).answer == coco_files.captions_of(colour)[0]


def test_the_order_follows_the_seed(folder: Path) -> None:
    def order(seed: int) -> list[str]:
        task = _task(folder, seed=seed)
        return [task.query(index).answer for index in range(NUM_PICTURES)]

    assert order(0) == order(0)
    assert len({tuple(order(seed)) for seed in range(5)}) > 1


def test_a_bare_prompt_is_the_beginning_of_a_pair_of_training(folder: Path) -> None:
    task = _task(folder)
    prompts = fewshot.make_prompts(task, WORLD, NUM_PICTURES, 0, "none", NO_SIMILARITY)
    for index, prompt in enumerate(prompts):
        query = task.query(index)
        assert query.text == query.answer
        pair = interleave(("", query.text), WORLD)
        length = len(prompt.text)
        assert prompt.text == tuple(pair.text[:length])
        assert prompt.media_index == tuple(pair.chunk[:length])
        assert list(pair.text[length:-2]) == WORLD.encode(query.answer)
        assert prompt.pictures == (index,)


def test_shots_and_text_examples_are_other_pictures_first_captions(folder: Path) -> None:
    # The support is the file of the queries, so that every query stands in it too.
    task = _task(folder, shots=(0, 4), **WITH_SUPPORT)
    assert task.num_support == NUM_PICTURES
    for index in range(NUM_PICTURES):
        own = _colour(task, index)
        others = {coco_files.captions_of(c)[0] for c in coco_files.COLOURS if c != own}
        (prompt,) = fewshot.make_prompts(task, WORLD, index + 1, 4, "random", NO_SIMILARITY)[-1:]
        *shots, query = WORLD.decode(prompt.text).split("<image>")[1:]
        assert query == "Output:"
        assert {shot.removeprefix("Output: ") for shot in shots} == others
        for row, shot in zip(prompt.pictures[:-1], shots, strict=True):
            pixel = task.support_media(row)[0, 8, 8].tolist()
            (colour,) = (name for name, c in coco_files.COLOURS.items() if list(c) == pixel)
            assert shot == f"Output: {coco_files.captions_of(colour)[0]}"
        examples = task.text_examples(index)
        assert len(set(examples)) == 2
        assert {text.removeprefix("Output: ") for text in examples} < others


def test_rices_passes_over_the_query_s_own_picture(folder: Path) -> None:
    task = _task(folder, shots=(4,), **WITH_SUPPORT)
    names = [_colour(task, index) for index in range(NUM_PICTURES)]
    similar = np.ones((NUM_PICTURES, NUM_PICTURES))
    for index, own in enumerate(names):
        rows = fewshot.select(task, index, 4, "rices", similar)
        assert f"Output: {coco_files.captions_of(own)[0]}" not in {
            task.shot_text(index, row) for row in rows
        }


def test_num_support_takes_a_part(folder: Path) -> None:
    config = EvaluationConfig(shots=(2,), num_support=3)
    task = BenchmarkCaptioning(coco_files.benchmark(folder, **WITH_SUPPORT), config, 16)
    assert task.num_support == 3
    assert max(rows.max() for index in range(5) for rows in task.groups(index)) == 2


@pytest.mark.parametrize(
    ("shots", "text_examples", "is_refused"),
    [((0,), 0, False), ((0,), 2, True), ((0, 4), 0, True), ((4,), 0, True)],
)
def test_what_needs_a_support_says_so(
    folder: Path, shots: tuple[int, ...], text_examples: int, is_refused: bool
) -> None:
    if not is_refused:
        assert _task(folder, shots=shots, text_examples=text_examples).text_examples(0) == ()
        return
    with pytest.raises(UserError, match=r"benchmarks\[walls\].support_annotations is empty"):
        _task(folder, shots=shots, text_examples=text_examples)
