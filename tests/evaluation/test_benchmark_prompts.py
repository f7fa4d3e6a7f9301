"""The prompts of the paper's figures, letter by letter."""

from __future__ import annotations

from typing import Any

import pytest

from flamingo_jax.evaluation import benchmark_prompts
from flamingo_jax.evaluation.benchmark_task import TASKS
from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.benchmarks.catalog import BENCHMARKS


def item(**fields: Any) -> Item:
    return Item(id="1", medium="1.jpg", **fields)


CAPTION = item(answers=("A cat wearing sunglasses.", "A cat."))
QUESTION = item(question="What colour is {it}?", answers=("red", "pink"))
MEME = item(question='when i go "home"', answers=("no",))
DIALOG = item(
    history=("A dog on a sofa", "is it big?", "no, small", "is it asleep?", "yes"),
    question="what colour?", answers=("brown",),
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "shot", "said"),
    [
        ("coco", CAPTION, "Output: A cat wearing sunglasses."),
        ("vatex", CAPTION, "Output: A cat wearing sunglasses."),
        ("imagenet", CAPTION, "Output: A cat wearing sunglasses."),
        ("vqav2", QUESTION, "Question: What colour is {it}? Answer: red"),
        ("nextqa", QUESTION, "Question: What colour is {it}? Answer: red"),
        ("star", QUESTION, "Question: What colour is {it}? Answer: red"),
        (
            "hateful_memes", MEME,
            'is an image with written: "when i go "home"" on it. Is it hateful? Answer: no',
        ),
        (
            "visdial", DIALOG,
            "A dog on a sofa Question: is it big? Answer: no, small Question: is it asleep?"
            " Answer: yes Question: what colour? Answer: brown",
        ),
        ("rareact", item(answers=("a person hammers a phone",)),
         "Caption: a person hammers a phone"),
    ],
)  # fmt: skip
def test_a_shot_says_what_the_paper_s_does(name: str, shot: Item, said: str) -> None:
    template = TASKS[name].template
    assert benchmark_prompts.shot_text(template, shot) == said
    # The lead is all but the answer, without the space that belongs to the answer's first token.
    assert benchmark_prompts.lead(template, shot) == said.removesuffix(f" {shot.answers[0]}")


def test_there_is_a_row_for_every_benchmark() -> None:
    assert set(TASKS) == set(BENCHMARKS)
    assert len(TASKS) == 18


def test_keywords_are_the_template_s_words_with_a_colon() -> None:
    words = {name: benchmark_prompts.keywords(task.template) for name, task in TASKS.items()}
    assert words["coco"] == ("Output:",)
    assert words["vqav2"] == ("Question:", "Answer:")
    assert words["rareact"] == ("Caption:",)
