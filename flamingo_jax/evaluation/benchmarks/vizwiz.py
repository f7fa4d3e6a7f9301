"""VizWiz: questions that blind people asked, as released or in the form of the VQA challenge.

    val.json: [{"image": "VizWiz_val_00000000.jpg", "question": "Ok. There is another picture ...",
                "answers": [{"answer": "unanswerable", "answer_confidence": "yes"}, ...],
                "answer_type": "unanswerable", "answerable": 0}]

The paper asks the test set (phase test-dev), whose answers nobody gives out: where its questions
are there, its queries have no answers, and what the model says can only be sent in. Else `val` is
asked. In the released files, pictures are the ids: every question has its own.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import records, sampling, vqa_format
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin
from flamingo_jax.evaluation.benchmarks.vqa_format import Answers, Question

VIZWIZ = Origin(
    name="vizwiz",
    where="https://vizwiz.org/tasks-and-datasets/vqa/ (or, in VQA's form,"
    " openflamingo/eval_benchmark of https://huggingface.co)",
    layout=(
        "{train,val}.json, perhaps test.json (or {train,val}_{questions,annotations}_vqa_format"
        ".json, perhaps test_questions_vqa_format.json), and the pictures in train/, val/, test/"
    ),
)

_TRAIN = "train"
_VAL = "val"
_TEST = "test"
_TEST_FILES = ("test.json", "Annotations/test.json", "test_questions_vqa_format.json")


def read_vizwiz(folder: str, split: str) -> Benchmark:
    """VizWiz.

    Args:
      folder: see `VIZWIZ.layout`; the released files may also lie in `Annotations/`, as they are
        packed, and are taken if both kinds are there.
      split: "test" (the test set if its questions are there, else "val"), "val", or "validation"
        (1,024 training questions).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(VIZWIZ.name, split, _VAL)
    here = BenchmarkFolder(VIZWIZ, folder)
    if split == sampling.TEST and not any(map(here.has, _TEST_FILES)):
        split = _VAL
    training, training_answers = _load(here, _TRAIN)
    queries, support = vqa_format.draw_items(VIZWIZ.name, split, training, training_answers)
    if split != sampling.VALIDATION:
        questions, answers = _load(here, split)
        given = answers(questions) if split == _VAL else None
        queries = vqa_format.query_items(questions, given)
    asked = _TRAIN if split == sampling.VALIDATION else split
    return Benchmark(
        name=VIZWIZ.name,
        split=split,
        queries=queries,
        support=support,
        query_media=here.pictures(here.media_folder(asked)),
        support_media=here.pictures(here.media_folder(_TRAIN)),
    )


def _load(here: BenchmarkFolder, subset: str) -> tuple[list[Question], vqa_format.ReadAnswers]:
    """The questions of a subset, and what gives the answers to some of them."""
    released = (f"{subset}.json", f"Annotations/{subset}.json")
    questions = f"{subset}_questions_vqa_format.json"
    name = here.first(*released, questions)
    name_of = functools.partial(_name_of, subset)
    if name in released:
        return _load_released(here, name, name_of)
    annotations = f"{subset}_annotations_vqa_format.json"
    return (
        vqa_format.read_questions(here, questions, functools.partial(name_of, "image_id")),
        functools.partial(_answers_of, here, annotations),
    )


def _name_of(subset: str, field: str, record: dict[str, Any], place: str) -> str:
    return f"{subset}/{records.text(record, field, place)}"


def _answers_of(
    here: BenchmarkFolder, name: str, questions: Sequence[Question]
) -> Mapping[str, Answers]:
    """As `vqa_format.answers_of`; VQA's form has VizWiz's type of answer as that of questions."""
    return {
        identifier: dataclasses.replace(
            answers,
            details={"answer_type": answers.details.get("question_type", ""), **answers.details},
        )
        for identifier, answers in vqa_format.answers_of(here, name, questions).items()
    }


def _load_released(
    here: BenchmarkFolder, name: str, name_of: Callable[[str, dict[str, Any], str], str]
) -> tuple[list[Question], vqa_format.ReadAnswers]:
    place = here.place(name)
    questions: dict[str, Question] = {}
    content = records.expect(here.read_json(name), list, "the content", place)
    by_id: dict[str, tuple[str, dict[str, Any]]] = {}
    for where, record in records.objects(content, place):
        image = records.text(record, "image", where)
        question = Question(
            id=image,
            image_id=image,
            medium=name_of("image", record, where),
            text=records.text(record, "question", where),
            place=where,
        )
        records.put_once(questions, image, question, "image", where)
        by_id[image] = (where, record)
    if not questions:
        raise UserError(f"{place} has no questions")

    def answers(some: Sequence[Question]) -> Mapping[str, Answers]:
        return {question.id: _answers(*by_id[question.id]) for question in some}

    return list(questions.values()), answers


def _answers(place: str, record: dict[str, Any]) -> Answers:
    given = records.objects(records.items(record, "answers", place), f"{place}.answers")
    details: dict[str, Any] = dict(records.optional_texts(record, ("answer_type",), place))
    if "answerable" in record:
        details["answerable"] = records.whole_number(record, "answerable", 2, place)
    return Answers(
        texts=tuple(records.text(answer, "answer", where) for where, answer in given),
        details=details,
    )
