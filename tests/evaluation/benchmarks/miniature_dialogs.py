"""Dialogs in the form of VisDial 1.0, whose texts tell where they belong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NUM_ROUNDS = 10
NUM_OPTIONS = 100


def question(image: int, turn: int) -> str:
    """The question of a round, counted from 1."""
    return f"what is thing {turn} of {image}"


def answer(image: int, turn: int) -> str:
    """The answer of a round."""
    return f"it is {turn} of {image}"


def caption(image: int) -> str:
    return f"a picture of {image}"


def place_of_answer(image: int, turn: int) -> int:
    """Where the right answer stands among the options."""
    return (image + 7 * turn) % NUM_OPTIONS


def dialogs(split: str, images: Sequence[int]) -> dict[str, Any]:
    """A file of dialogs about pictures; its lists of texts are shared by all of them."""
    rounds = [(image, turn) for image in images for turn in range(1, NUM_ROUNDS + 1)]
    questions = [question(*where) for where in reversed(rounds)]
    wrong = [f"no {number}" for number in range(NUM_OPTIONS)]
    answers = [*wrong, *(answer(*where) for where in rounds)]

    def turn_of(image: int, turn: int) -> dict[str, Any]:
        options = list(range(NUM_OPTIONS))
        right = place_of_answer(image, turn)
        options[right] = answers.index(answer(image, turn))
        return {
            "question": questions.index(question(image, turn)), "answer": options[right],
            "answer_options": options, "gt_index": right,
        }  # fmt: skip

    listed = [
        {
            "image_id": image, "caption": caption(image),
            "dialog": [turn_of(image, turn) for turn in range(1, NUM_ROUNDS + 1)],
        }
        for image in images
    ]  # fmt: skip
    data = {"dialogs": listed, "questions": questions, "answers": answers}
    return {"version": "1.0", "split": split, "data": data}


def relevance(image: int, turn: int) -> list[float]:
    """The right answer is found right by all, the next by half of the people."""
    right = place_of_answer(image, turn)
    judged = [0.0] * NUM_OPTIONS
    judged[right], judged[(right + 1) % NUM_OPTIONS] = 1.0, 0.5
    return judged


def judgements(rounds: Sequence[tuple[int, int]], field: str) -> list[dict[str, Any]]:
    """A file of dense annotations of rounds, each a picture and a number from 1."""
    return [
        {"image_id": image, "round_id": turn, field: relevance(image, turn)}
        for image, turn in rounds
    ]
