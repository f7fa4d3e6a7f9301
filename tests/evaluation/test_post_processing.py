"""Answers are cut where the next prompt would begin, and are otherwise left alone."""

from __future__ import annotations

import pytest

from flamingo_jax.evaluation.post_processing import answer_of

QUESTION = ("Question:", "Answer:")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (" a red bus", "a red bus"),
        ("two Question: how many? Answer: 3", "two"),
        ("yes Answer: no Question: why?", "yes"),
        ("a question of taste, no answer", "a question of taste, no answer"),
        ("A dog.\n  It  runs ", "A dog. It runs"),
        ("black<image>Question: what", "black"),
        ("Question: what", ""),
        ("", ""),
        ("Output: a cat", "Output: a cat"),
    ],
)
def test_an_answer_ends_before_the_words_of_prompts(text: str, answer: str) -> None:
    assert answer_of(text, QUESTION) == answer


def test_other_prompts_have_other_words() -> None:
    assert answer_of("a cat Output: a dog", ("Output:",)) == "a cat"
