"""The few-shot tasks: what is asked, what the shots say, and that nothing leaks."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import grammar, vocabulary, world
from flamingo_jax.evaluation import fewshot
from flamingo_jax.evaluation.task import OUTPUT, RANK
from flamingo_jax.evaluation.tasks.naming import Naming
from flamingo_jax.evaluation.tasks.registry import FEW_SHOT_TASKS
from flamingo_jax.evaluation.world_task import WorldTask

WORLD = vocabulary.load("world")
NUM_SUPPORT = 80
NO_SIMILARITY = np.zeros((0, NUM_SUPPORT))
NAMES = list(FEW_SHOT_TASKS)


def _task(name: str, seed: int = 0) -> WorldTask:
    return FEW_SHOT_TASKS[name](seed, "test", NUM_SUPPORT)


def _shots(task: WorldTask, index: int, shots: int, selection: str = "random") -> list[int]:
    random = np.random.default_rng(0)
    return fewshot.select(
        task, index, shots, selection, random.normal(size=(index + 1, NUM_SUPPORT))
    )


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_functions_of_their_number(name: str) -> None:
    first, second = _task(name), _task(name)
    assert [first.query(i) for i in range(6)] == [second.query(i) for i in (range(6))]
    assert second.query(4) == first.query(4)
    assert first.support == second.support
    assert _task(name, seed=1).query(0) != first.query(0)
    assert _shots(first, 3, 8) == _shots(second, 3, 8)
    assert _shots(first, 3, 8) != _shots(first, 4, 8)
    for pixels, again in (
        (first.query_media(0), second.query_media(0)),
        (first.support_media(5), second.support_media(5)),
    ):
        np.testing.assert_array_equal(pixels, again)
        assert pixels.shape == (first.num_frames, 24, 24, 3) and pixels.dtype == np.uint8


@pytest.mark.parametrize("name", NAMES)
def test_queries_are_not_in_the_support(name: str) -> None:
    task = _task(name)
    queries = [task.query(index).frames for index in range(60)]
    assert not set(queries) & set(task.support)
    assert len(set(queries)) == len(queries)


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_those_of_training(name: str) -> None:
    task = _task(name)
    for index in range(10):
        query = task.query(index)
        texts = [query.text, *task.text_examples(index)]
        texts += [task.shot_text(index, row) for row in _shots(task, index, 4)]
        question = "question_answering" in name
        for text in texts:
            assert text.startswith("Question: " if question else "Output: ")
            assert not question or " Answer: " in text
        assert query.lead.endswith(":")
        assert WORLD.encode(query.lead) + WORLD.encode(f" {query.answer}") == WORLD.encode(
            query.text
        )


@pytest.mark.parametrize("name", NAMES)
def test_zero_shot_prompts_have_two_text_examples_unless_closed(name: str) -> None:
    task = _task(name)
    prompts = fewshot.make_prompts(task, WORLD, 8, 0, "none", NO_SIMILARITY)
    for index, prompt in enumerate(prompts):
        examples = task.text_examples(index)
        assert len(examples) == (0 if task.decode == RANK else 2)
        # Fault S1: no picture may come with the text examples, in tags, phi or pictures.
        assert prompt.pictures == (NUM_SUPPORT + index,)
        assert set(prompt.media_index) == {0, 1}
        assert WORLD.decode(prompt.text).count("<image>") == 1
        first = prompt.media_index.index(1)
        assert WORLD.decode(prompt.text[first:]) == f"<image>{task.query(index).lead}"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("selection", ["random", "rices"])
def test_shots_are_different_support_pictures(name: str, selection: str) -> None:
    task = _task(name)
    for index in range(5):
        for shots in (4, 8, 16):
            rows = _shots(task, index, shots, selection)
            assert len(set(rows)) == shots
            assert all(0 <= row < NUM_SUPPORT for row in rows)


def test_prompts_show_the_pictures_that_their_texts_speak_of() -> None:
    task = _task("captioning")
    (prompt,) = fewshot.make_prompts(task, WORLD, 1, 4, "random", NO_SIMILARITY)
    chunks = WORLD.decode(prompt.text).split("<image>")[1:]
    for picture, chunk in zip(prompt.pictures[:-1], chunks[:-1], strict=True):
        assert chunk == f"{OUTPUT} {grammar.caption(task.support[picture][0])}"
    assert prompt.pictures[-1] == NUM_SUPPORT


def test_answers_describe_the_query() -> None:
    query = _task("captioning").query(0)
    assert query.answer == grammar.caption(query.frames[0])
    query = _task("classification").query(0)
    assert query.answer == grammar.DIGIT_WORDS[query.frames[0].digit]
    query = _task("video_question_answering").query(0)
    assert len(query.frames) == 8 and query.answer == grammar.movement(query.frames)
    asked = Counter()
    task = _task("question_answering")
    for index in range(60):
        query = task.query(index)
        question = query.lead.removeprefix("Question: ").removesuffix(" Answer:")
        (kind,) = [kind for kind, words in grammar.QUESTIONS.items() if question in words]
        assert query.answer == grammar.answer(kind, query.frames[0])
        asked[kind] += 1
    assert set(asked) == set(grammar.QUESTIONS)


def test_only_the_shots_of_attribute_tell_what_is_asked() -> None:
    task = _task("attribute")
    attributes, told = Counter(), 0
    for index in range(80):
        attribute = task.attribute(index)
        attributes[attribute] += 1
        query = task.query(index)
        assert query.lead == OUTPUT
        assert query.answer == grammar.attribute_word(attribute, query.frames[0])
        for row in _shots(task, index, 4):
            word = grammar.attribute_word(attribute, task.support[row][0])
            assert task.shot_text(index, row) == f"{OUTPUT} {word}"
        words = [text.removeprefix(f"{OUTPUT} ") for text in task.text_examples(index)]
        kinds = [
            {k for k, all_words in grammar.ATTRIBUTES.items() if w in all_words} for w in words
        ]
        assert not kinds[0] & kinds[1]
        told += attribute in kinds[0] | kinds[1]
    assert set(attributes) == set(grammar.ATTRIBUTES)
    assert 0 < told < 80


def test_naming_shots_are_balanced_and_bind_the_names() -> None:
    task = _task("naming")
    assert isinstance(task, Naming)
    orders = set()
    for index in range(20):
        episode = task.episode(index)
        assert len(episode) == len(set(episode.values())) == 4
        query = task.query(index)
        assert query.answer == episode[query.frames[0].digit]
        for shots in (4, 8, 16):
            rows = _shots(task, index, shots)
            said = [task.shot_text(index, row).removeprefix(f"{OUTPUT} ") for row in rows]
            assert Counter(said) == dict.fromkeys(episode.values(), shots // 4)
            assert said == [episode[task.support[row][0].digit] for row in rows]
        orders.add(said.index(query.answer))
        assert {task.support[row][0].digit for row in _shots(task, index, 16, "rices")} <= set(
            episode
        )
        for text in task.text_examples(index):
            name = text.removeprefix(f"{OUTPUT} ")
            assert name in grammar.NAMES and name not in episode.values()
    assert len(orders) > 2  # the place of the query's own name among the shots gives nothing away


def test_too_small_a_support_is_named() -> None:
    task = FEW_SHOT_TASKS["naming"](0, "test", 10)
    with pytest.raises(UserError, match="num_support is 10, too few for 8 shots of naming"):
        fewshot.make_prompts(task, WORLD, 1, 8, "random", NO_SIMILARITY)


def test_answers_are_short_enough_for_decoding() -> None:
    texts = [grammar.caption(_task("captioning").query(i).frames[0]) for i in range(50)]
    clips = [world.clip_frames(np.random.default_rng(i), "test", 8) for i in range(50)]
    texts += [grammar.movement(frames) for frames in clips]
    assert max(len(WORLD.encode(f" {text}")) for text in texts) < 12
