"""TextVQA: questions about text in pictures, as released or in the form of the VQA challenge.

    TextVQA_0.5.1_val.json: {"data": [{"question_id": 34602, "image_id": "003a8ae2ef43b901",
                                       "question": "what is ...", "answers": ["dakota", ...]}]}

The pictures of `train` and `val` lie in one folder, `train_images/`. The model is not told what the
pictures' text says.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import records, sampling, vqa_format
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin
from flamingo_jax.evaluation.benchmarks.vqa_format import Answers, Question

TEXTVQA = Origin(
    name="textvqa",
    where="https://textvqa.org/dataset/ (or, in VQA's form, openflamingo/eval_benchmark of"
    " https://huggingface.co)",
    layout=(
        "TextVQA_0.5.1_{train,val}.json (or {train,val}_{questions,annotations}_vqa_format.json)"
        " and train_images/"
    ),
)

_VAL = "val"
_TRAIN = "train"
_PICTURES = "train_images"


def read_textvqa(folder: str, split: str) -> Benchmark:
    """TextVQA.

    Args:
      folder: see `TEXTVQA.layout`; the files as released are taken if both kinds are there.
      split: "test" (all of "val") or "validation" (1,024 training questions).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(TEXTVQA.name, split, _VAL)
    here = BenchmarkFolder(TEXTVQA, folder)
    training, training_answers = _load(here, _TRAIN)
    queries, support = vqa_format.draw_items(TEXTVQA.name, split, training, training_answers)
    if split != sampling.VALIDATION:
        split = _VAL
        questions, answers = _load(here, _VAL)
        queries = vqa_format.query_items(questions, answers(questions))
    pictures = here.pictures(here.media_folder(_PICTURES))
    return Benchmark(
        name=TEXTVQA.name,
        split=split,
        queries=queries,
        support=support,
        query_media=pictures,
        support_media=pictures,
    )


def _load(here: BenchmarkFolder, subset: str) -> tuple[list[Question], vqa_format.ReadAnswers]:
    """The questions of `train` or `val`, and what gives the answers to some of them."""
    released = f"TextVQA_0.5.1_{subset}.json"
    questions = f"{subset}_questions_vqa_format.json"
    if here.first(released, questions) == released:
        return _load_released(here, released)
    annotations = f"{subset}_annotations_vqa_format.json"
    return (
        vqa_format.read_questions(here, questions, _name_of),
        functools.partial(vqa_format.answers_of, here, annotations),
    )


def _name_of(record: dict[str, Any], place: str) -> str:
    return f"{_PICTURES}/{records.identifier(record, 'image_id', place)}.jpg"


def _load_released(
    here: BenchmarkFolder, name: str
) -> tuple[list[Question], vqa_format.ReadAnswers]:
    place = here.place(name)
    questions: dict[str, Question] = {}
    answers: dict[str, Answers] = {}
    data = records.items(here.read_json(name, _only_what_is_used), "data", place)
    for where, record in records.objects(data, f"{place} data"):
        question = Question(
            id=records.identifier(record, "question_id", where),
            image_id=records.identifier(record, "image_id", where),
            medium=_name_of(record, where),
            text=records.text(record, "question", where),
            place=where,
        )
        records.put_once(questions, question.id, question, "question_id", where)
        given = records.items(record, "answers", where)
        answers[question.id] = Answers(
            texts=tuple(records.clean(text, "an answer", where) for text in given), details={}
        )
    if not questions:
        raise UserError(f"{place} has no questions")

    def some(_: Sequence[Question]) -> Mapping[str, Answers]:
        return answers

    return list(questions.values()), some


def _only_what_is_used(value: dict[str, Any]) -> dict[str, Any]:
    """Drops the addresses, tokens and classes of a picture, most of the file."""
    if "question_id" not in value:
        return value
    used = ("question_id", "image_id", "question", "answers")
    return {name: value[name] for name in used if name in value}
