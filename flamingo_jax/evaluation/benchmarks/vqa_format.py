"""Questions and answers in the form of the VQA challenge: two files, joined by the question's id.

    {"questions": [{"question_id": 262148000, "image_id": 262148, "question": "Where is he ..."}]}
    {"annotations": [{"question_id": 262148000, "image_id": 262148, "question_type": "none of ...",
                      "answer_type": "other", "multiple_choice_answer": "down",
                      "answers": [{"answer": "down", "answer_confidence": "yes", ...}, ...]}]}

The order of the two lists means nothing. Ids may be numbers or texts; 42 and "42" are the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import records, sampling
from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder
from flamingo_jax.evaluation.metrics.vqa_accuracy import MATCHES_FOR_FULL_SCORE

# An answer counts in full when enough of the people beside its own giver gave it.
_FEWEST_ANSWERS = MATCHES_FOR_FULL_SCORE + 1

_DETAILS = ("question_type", "answer_type", "multiple_choice_answer")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One question.

    Attributes:
      id: its id as text.
      image_id: id of its picture as text.
      medium: name of its picture.
      text: what is asked.
      place: where it stands, for messages.
    """

    id: str
    image_id: str
    medium: str
    text: str
    place: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answers:
    """What people answered to one question.

    Attributes:
      texts: one a person, in the order of the file; all persons count, so empty ones stay.
      details: what else the file says that metrics or tables use.
    """

    texts: tuple[str, ...]
    details: Mapping[str, Any]


NameOf = Callable[[dict[str, Any], str], str]
"""The name of the picture of a question's record, which has its place for messages beside it."""

ReadAnswers = Callable[[Sequence[Question]], Mapping[str, Answers]]
"""The answers to some questions, and perhaps to others, by the questions' ids."""


def coco_name(subset: str) -> NameOf:
    """Names of COCO's pictures of 2014 and 2015: `val2014/COCO_val2014_000000262148.jpg`."""

    def name_of(question: dict[str, Any], place: str) -> str:
        number = records.coco_number(question, "image_id", place)
        return f"{subset}/COCO_{subset}_{number:012d}.jpg"

    return name_of


def read_questions(here: BenchmarkFolder, name: str, name_of: NameOf) -> list[Question]:
    """The questions of a file, in its order.

    Args:
      here: the benchmark's folder.
      name: of the file.
      name_of: names the picture of a question.

    Raises:
      UserError: the file is missing or of another form, has no question, or has one id twice.
    """
    place = here.place(name)
    found: dict[str, Question] = {}
    questions = records.items(here.read_json(name), "questions", place)
    for where, record in records.objects(questions, f"{place} questions"):
        question = Question(
            id=records.identifier(record, "question_id", where),
            image_id=records.identifier(record, "image_id", where),
            medium=name_of(record, where),
            text=records.text(record, "question", where),
            place=where,
        )
        records.put_once(found, question.id, question, "question_id", where)
    if not found:
        raise UserError(f"{place} has no questions")
    return list(found.values())


def answers_of(
    here: BenchmarkFolder, name: str, questions: Sequence[Question]
) -> Mapping[str, Answers]:
    """The answers of a file to some of its questions, by id.

    Args:
      here: the benchmark's folder.
      name: of the file.
      questions: those that are kept; the others' answers go while the file is parsed.

    Raises:
      UserError: the file is missing or of another form, annotates a question twice or with
        another picture, or leaves one out.
    """
    place = here.place(name)
    wanted = {question.id: question for question in questions}

    def reduce(value: dict[str, Any]) -> Any:
        is_annotation = "question_id" in value and "answers" in value
        is_kept = not is_annotation or str(value["question_id"]) in wanted
        return value if is_kept else _LEFT_OUT

    annotations = records.items(here.read_json(name, reduce), "annotations", place)
    found: dict[str, Answers] = {}
    for number, record in enumerate(annotations):
        if record is _LEFT_OUT:
            continue
        where = f"{place} annotations[{number}]"
        record = records.expect(record, dict, "it", where)
        identifier = records.identifier(record, "question_id", where)
        if identifier not in wanted:
            continue
        _check_picture(record, wanted[identifier], where)
        records.put_once(found, identifier, _answers(record, where), "question_id", where)
    for question in questions:
        if question.id not in found:
            raise UserError(
                f"{question.place}: question {question.id!r} has no annotation in {place}: the"
                " two files do not belong together"
            )
    return found


_LEFT_OUT = object()


def _check_picture(record: dict[str, Any], question: Question, place: str) -> None:
    if "image_id" not in record:
        return
    image_id = records.identifier(record, "image_id", place)
    if image_id != question.image_id:
        raise UserError(
            f"{place}: image_id is {image_id!r}, but question {question.id!r} is about"
            f" {question.image_id!r}"
        )


def _answers(record: dict[str, Any], place: str) -> Answers:
    given = list(records.objects(records.items(record, "answers", place), f"{place}.answers"))
    details: dict[str, Any] = dict(records.optional_texts(record, _DETAILS, place))
    # OK-VQA: its `answer` is stemmed and is what the metric compares; this is what people wrote.
    if given and all("raw_answer" in answer for _, answer in given):
        details["raw_answers"] = tuple(records.text(a, "raw_answer", where) for where, a in given)
    return Answers(
        texts=tuple(records.text(answer, "answer", where) for where, answer in given),
        details=details,
    )


def query_items(
    questions: Sequence[Question], answers: Mapping[str, Answers] | None
) -> tuple[Item, ...]:
    """Questions as queries.

    Args:
      questions: what is asked.
      answers: by id; None where nobody gives them out.

    Raises:
      UserError: a question has too few answers for the VQA accuracy.
    """
    if answers is None:
        return tuple(Item(id=q.id, medium=q.medium, question=q.text) for q in questions)
    for question in questions:
        count = len(answers[question.id].texts)
        if count < _FEWEST_ANSWERS:
            raise UserError(
                f"{question.place}: question {question.id!r} has {count} answers; the VQA accuracy"
                f" needs at least {_FEWEST_ANSWERS}"
            )
    return tuple(_item(question, answers[question.id]) for question in questions)


def support_items(
    questions: Sequence[Question], answers: Mapping[str, Answers]
) -> tuple[Item, ...]:
    """Questions as shots: empty answers are left out, and questions that have no other."""
    items = []
    for question in questions:
        given = answers[question.id]
        texts = tuple(filter(None, given.texts))
        if texts:
            items.append(_item(question, dataclasses.replace(given, texts=texts)))
    return tuple(items)


def _item(question: Question, answers: Answers) -> Item:
    return Item(
        id=question.id,
        medium=question.medium,
        question=question.text,
        answers=answers.texts,
        details=answers.details,
    )


def draw_items(
    benchmark: str,
    split: str,
    training: Sequence[Question],
    read_answers: ReadAnswers,
) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """What is taken of the training set.

    Args:
      benchmark: its name.
      split: see `sampling.draw`.
      training: all training questions.
      read_answers: gives those to some of the questions.

    Returns:
      The queries (none for the test) and the support.

    Raises:
      UserError: there are no training questions; what `read_answers` raises.
    """
    slices = sampling.draw(benchmark, split, [question.medium for question in training])
    queries = [training[row] for row in slices.queries]
    support = [training[row] for row in slices.support]
    answers = read_answers([*queries, *support])
    return query_items(queries, answers), support_items(support, answers)
