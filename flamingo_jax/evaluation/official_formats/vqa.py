"""Questions with the answers of ten people, in the formats of VQA, TextVQA and VizWiz.

Annotations: `{"annotations": [{"question_id", "answers": [{"answer", ...}]}]}` of VQA and OK-VQA,
in which others are given out as well; `{"data": [{"question_id", "answers": ["..."]}]}` of TextVQA;
`[{"image", "answers": [{"answer", ...}]}]` of VizWiz. Results: `[{"question_id", "answer"}]`, and
`[{"image", "answer"}]` for VizWiz.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.official_formats import files
from flamingo_jax.evaluation.official_formats.files import Id


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnsweredQuestions:
    """Predicted answers with those of people, in the order of the annotations.

    Attributes:
      ids: of the questions; of the pictures in VizWiz's own format.
      predictions: the predicted answer of each.
      answers: the people's answers to each.
      people: what else is said of each of the people, as text.
    """

    ids: tuple[Id, ...]
    predictions: tuple[str, ...]
    answers: tuple[tuple[str, ...], ...]
    people: tuple[tuple[str, ...], ...]


def read_vqa(annotations: str, results: str, questions: str = "") -> AnsweredQuestions:
    """Reads and joins answers. As in the official evaluation, every question must be answered.

    Args:
      annotations: file of the people's answers.
      results: file of the predicted ones.
      questions: file of the questions; if it is given, it must have the same ids.

    Raises:
      UserError: a file is missing or has another form, a question is unknown, comes twice, or has
        no prediction.
    """
    right = _read_annotations(annotations)
    if questions:
        _check_questions(questions, right)
    content = files.read_json(results, "results")
    pairs = files.fields(
        results,
        "results",
        'a list of {"question_id", "answer"}',
        lambda: [(_id(result), _text(result["answer"])) for result in content],
    )
    predicted = files.by_id(pairs, results, "results")
    files.check_known(predicted, right, results)
    files.check_complete(predicted, right, results)
    return AnsweredQuestions(
        ids=tuple(right),
        predictions=tuple(predicted[key] for key in right),
        answers=tuple(tuple(answer for answer, _ in right[key]) for key in right),
        people=tuple(tuple(person for _, person in right[key]) for key in right),
    )


def _read_annotations(path: str) -> dict[Id, list[tuple[str, str]]]:
    """Each question's answers, and what else is said of who gave them."""
    content = files.read_json(path, "annotations")

    def read() -> list[tuple[Id, list[tuple[str, str]]]]:
        rows = content
        if isinstance(content, dict):
            rows = content["annotations"] if "annotations" in content else content["data"]
        return [(_id(row), _answers(row["answers"])) for row in rows]

    form = 'VQA\'s {"annotations": [{"question_id", "answers": [{"answer"}]}]}'
    right = files.by_id(files.fields(path, "annotations", form, read), path, "annotations")
    few = [key for key, answers in right.items() if len(answers) < 4]
    if few or not right:
        said = f"question {few[0]!r} has {len(right[few[0]])} answers" if few else "no questions"
        raise UserError(f"--annotations={path}: {said}; the VQA metric needs at least 4 answers")
    return right


def _check_questions(path: str, annotated: dict[Id, Any]) -> None:
    content = files.read_json(path, "questions")
    rows = files.fields(
        path,
        "questions",
        'VQA\'s {"questions": [{"question_id"}]}',
        lambda: [(question["question_id"], None) for question in content["questions"]],
    )
    asked = files.by_id(rows, path, "questions")
    different = set(asked) ^ set(annotated)
    if different:
        first = min(different, key=str)
        where = "annotations" if first in asked else "questions"
        raise UserError(
            f"--questions={path}: {len(different)} ids are in only one of questions and"
            f" annotations; {first!r} is not in the {where}"
        )


def _answers(rows: list[Any]) -> list[tuple[str, str]]:
    answers = []
    for number, row in enumerate(rows):
        if isinstance(row, str):
            answers.append((row, str(number)))
        else:
            others = {name: value for name, value in row.items() if name != "answer"}
            answers.append((_text(row["answer"]), json.dumps(others, sort_keys=True)))
    return answers


def _id(row: dict[str, Any]) -> Id:
    return row["question_id"] if "question_id" in row else row["image"]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"the answer {value!r} is not a string")
    return value
