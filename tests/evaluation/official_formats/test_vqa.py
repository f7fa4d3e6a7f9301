"""Questions and answers in the formats of VQA, TextVQA and VizWiz."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.official_formats.vqa import read_vqa

ANSWERS = ["cat", "dog", "cat", "cat"]


def numbered(answers: list[str]) -> list[dict[str, Any]]:
    return [{"answer": answer, "answer_id": n} for n, answer in enumerate(answers)]


VQA = {
    "annotations": [
        {"question_id": 7, "answers": numbered(ANSWERS)},
        {"question_id": 5, "answers": numbered(["yes"] * 4)},
    ]
}
RESULTS = [{"question_id": 5, "answer": "yes"}, {"question_id": 7, "answer": "cat"}]


def save(folder: Path, **contents: Any) -> dict[str, str]:
    paths = {}
    for name, content in contents.items():
        paths[name] = str(folder / f"{name}.json")
        Path(paths[name]).write_text(json.dumps(content), encoding="utf-8")
    return paths


def test_answers_are_joined_by_id(tmp_path: Path) -> None:
    read = read_vqa(**save(tmp_path, annotations=VQA, results=RESULTS))
    assert read.ids == (7, 5)
    assert read.predictions == ("cat", "yes")
    assert read.answers == (tuple(ANSWERS), ("yes",) * 4)
    assert len(set(read.people[1])) == 4


def test_people_of_whom_the_same_is_said_are_alike(tmp_path: Path) -> None:
    answers = [{"answer": "cat", "answer_confidence": sure} for sure in ("yes", "no", "yes", "no")]
    annotations = {"annotations": [{"question_id": 1, "answers": answers}]}
    paths = save(tmp_path, annotations=annotations, results=[{"question_id": 1, "answer": "a"}])
    assert len(set(read_vqa(**paths).people[0])) == 2


def test_formats_of_textvqa_and_vizwiz(tmp_path: Path) -> None:
    textvqa = {"data": [{"question_id": 1, "image_id": "x", "answers": ANSWERS}]}
    paths = save(tmp_path, annotations=textvqa, results=[{"question_id": 1, "answer": "cat"}])
    read = read_vqa(**paths)
    assert read.answers == (tuple(ANSWERS),) and len(set(read.people[0])) == 4
    vizwiz = [{"image": "a.jpg", "question": "?", "answers": numbered(ANSWERS)}]
    paths = save(tmp_path, annotations=vizwiz, results=[{"image": "a.jpg", "answer": "cat"}])
    assert read_vqa(**paths).ids == ("a.jpg",)


def test_questions_must_be_those_of_the_annotations(tmp_path: Path) -> None:
    questions = {"questions": [{"question_id": 5}, {"question_id": 7}]}
    paths = save(tmp_path, annotations=VQA, results=RESULTS, questions=questions)
    assert read_vqa(**paths).ids == (7, 5)
    questions["questions"][0]["question_id"] = 6
    with pytest.raises(UserError, match="2 ids are in only one .* 5 is not in the questions"):
        read_vqa(**save(tmp_path, annotations=VQA, results=RESULTS, questions=questions))


@pytest.mark.parametrize(
    ("results", "words"),
    [
        (RESULTS[:1], "1 of 2 items have no result, the first of them 7; all must have one"),
        ([*RESULTS, {"question_id": 9, "answer": "a"}], "first of them 9"),
        ([*RESULTS, RESULTS[0]], "the id 5 comes twice"),
        ([{"question_id": 5}], "expected a list of"),
        ([{"question_id": 5, "answer": 1}], "the answer 1 is not a string"),
    ],
)
def test_wrong_results_are_named(tmp_path: Path, results: Any, words: str) -> None:
    with pytest.raises(UserError) as raised:
        read_vqa(**save(tmp_path, annotations=VQA, results=results))
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"annotations": [{"question_id": 1, "answers": ["a"] * 3}]}, "question 1 has 3 answers"),
        ({"annotations": []}, "no questions"),
        ({"questions": []}, "no 'data'"),
    ],
)
def test_wrong_annotations_are_named(tmp_path: Path, annotations: Any, words: str) -> None:
    with pytest.raises(UserError) as raised:
        read_vqa(**save(tmp_path, annotations=annotations, results=[]))
    assert words in str(raised.value)
