"""Questions and answers in VQA's form: joined by id, and told what does not fit together."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import vqa_format
from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin
from flamingo_jax.evaluation.benchmarks.catalog import open_benchmark
from flamingo_jax.evaluation.metrics.vqa_accuracy import vqa_accuracy
from tests.evaluation.benchmarks import miniatures

ORIGIN = Origin(name="okvqa", where="somewhere", layout="two files")
ROWS = miniatures.VQA_VALIDATION

SLICES = Path(__file__).resolve().parents[4] / "shared" / "vqa-slices"

Content = dict[str, Any]


def _write(folder: Path, questions: Content, annotations: Content) -> BenchmarkFolder:
    miniatures.write_json(folder / "questions.json", questions)
    miniatures.write_json(folder / "annotations.json", annotations)
    return BenchmarkFolder(ORIGIN, str(folder))


def _read(here: BenchmarkFolder, kept: slice = slice(None)) -> tuple[Item, ...]:
    name_of = vqa_format.coco_name("val2014")
    questions = vqa_format.read_questions(here, "questions.json", name_of)[kept]
    return vqa_format.query_items(
        questions, vqa_format.answers_of(here, "annotations.json", questions)
    )


def test_annotations_are_joined_by_id_in_any_order(tmp_path: Path) -> None:
    questions = miniatures.vqa_questions(ROWS)
    annotations = miniatures.vqa_annotations(ROWS)
    expected = _read(_write(tmp_path, questions, annotations))
    assert [item.id for item in expected] == ["262148000", "393225000", "262148002"]
    for item, (_, image, asked, answers) in zip(expected, ROWS, strict=True):
        assert item.medium == f"val2014/COCO_val2014_{image:012d}.jpg"
        assert item.question == asked.strip()
        assert item.answers == tuple(answer.strip() for answer in answers)
        assert item.details == {
            "question_type": "what is",
            "answer_type": "other",
            "multiple_choice_answer": answers[0],
        }
    for seed in range(5):
        random.Random(seed).shuffle(annotations["annotations"])
        assert _read(_write(tmp_path, questions, annotations)) == expected


def test_what_is_not_asked_may_be_anything(tmp_path: Path) -> None:
    annotations = miniatures.vqa_annotations(ROWS)
    annotations["annotations"] += [
        {"question_id": 1, "answers": None},
        {"question_id": "1", "answers": 7},
    ]
    here = _write(tmp_path, miniatures.vqa_questions(ROWS), annotations)
    assert len(_read(here)) == 3
    # A file of many questions for a few of them.
    assert [item.id for item in _read(here, slice(1, 2))] == ["393225000"]


def test_what_people_really_wrote_is_kept_beside_stems(tmp_path: Path) -> None:
    annotations = miniatures.vqa_annotations(ROWS)
    for answer in annotations["annotations"][0]["answers"]:
        answer["raw_answer"] = f"{answer['answer']}ing"
    items = _read(_write(tmp_path, miniatures.vqa_questions(ROWS), annotations))
    assert items[-1].details["raw_answers"][:3] == ("reding", "ing", "orangeing")
    assert "raw_answers" not in items[0].details


def test_a_shot_tells_an_answer_that_is_not_empty(tmp_path: Path) -> None:
    rows = [
        (1, 9, "a?", ["", " ", "pink", "red"]),
        (2, 9, "b?", ["", "", "", ""]),
        (3, 9, "c?", miniatures.ten("red")),
    ]
    here = _write(tmp_path, miniatures.vqa_questions(rows), miniatures.vqa_annotations(rows))
    questions = vqa_format.read_questions(here, "questions.json", vqa_format.coco_name("x"))
    answers = vqa_format.answers_of(here, "annotations.json", questions)
    shots = vqa_format.support_items(questions, answers)
    assert [(item.id, item.answers[0]) for item in shots] == [("1", "pink"), ("3", "red")]
    assert shots[0].answers == ("pink", "red")
    # As a query it keeps all four: every person counts.
    assert vqa_format.query_items(questions, answers)[0].answers == ("", "", "pink", "red")


def test_questions_without_public_answers_have_none(tmp_path: Path) -> None:
    here = _write(tmp_path, miniatures.vqa_questions(ROWS), {})
    questions = vqa_format.read_questions(here, "questions.json", vqa_format.coco_name("x"))
    assert [item.answers for item in vqa_format.query_items(questions, None)] == [()] * 3


Change = Callable[[list[Any], list[Any]], object]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda q, a: q.append(q[0]), "questions[3]: the question_id '262148000' comes a second"),
        (lambda q, a: q.append({**q[0], "question_id": "262148000"}), "comes a second time"),
        (lambda q, a: a.append(a[0]), "annotations[3]: the question_id '262148002' comes a second"),
        (lambda q, a: a.pop(), "question '262148000' has no annotation in"),
        (lambda q, a: a[0].update(image_id=7), "image_id is '7', but question '262148002' is"),
        (lambda q, a: a[0].update(answers=[]), "question '262148002' has 0 answers"),
        (lambda q, a: a[0]["answers"].__delitem__(slice(3, None)), "has 3 answers; the VQA accur"),
        (lambda q, a: a[0].update(answers=["red"]), "annotations[0].answers[0]: it is of type str"),
        (lambda q, a: a[0]["answers"][0].pop("answer"), "answers[0] has no field 'answer'"),
        (lambda q, a: a[0].pop("question_id"), "annotations[0] has no field 'question_id'"),
        (lambda q, a: a.insert(0, 5), "annotations[0]: it is of type int"),
        (lambda q, a: q[0].update(image_id="../../etc"), "expected the number of a COCO picture"),
        (lambda q, a: q[0].update(question=None), "questions[0]: question is of type NoneType"),
        (lambda q, a: q.clear(), "has no questions"),
    ],
)
def test_files_that_do_not_fit_are_told_in_one_line(
    tmp_path: Path, change: Change, said: str
) -> None:
    questions, annotations = miniatures.vqa_questions(ROWS), miniatures.vqa_annotations(ROWS)
    change(questions["questions"], annotations["annotations"])
    with pytest.raises(UserError) as caught:
        _read(_write(tmp_path, questions, annotations))
    assert said in str(caught.value) and str(caught.value).startswith("okvqa: ")
    assert "\n" not in str(caught.value)


def test_a_file_of_another_form_is_told(tmp_path: Path) -> None:
    here = _write(tmp_path, miniatures.vqa_questions(ROWS), miniatures.vqa_questions(ROWS))
    with pytest.raises(UserError, match="annotations.json' has no field 'annotations'"):
        _read(here)
    (tmp_path / "questions.json").write_text(json.dumps([1]))
    with pytest.raises(UserError, match="questions.json': it is of type list; expected dict"):
        _read(here)


def test_the_training_set_gives_support_and_validation(tmp_path: Path) -> None:
    rows: Sequence[miniatures.Question] = miniatures.VQA_TRAINING
    here = _write(tmp_path, miniatures.vqa_questions(rows), miniatures.vqa_annotations(rows))
    training = vqa_format.read_questions(here, "questions.json", vqa_format.coco_name("x"))
    answers = functools.partial(vqa_format.answers_of, here, "annotations.json")
    queries, support = vqa_format.draw_items("okvqa", "test", training, answers)
    assert queries == () and len(support) == 6
    queries, support = vqa_format.draw_items("okvqa", "validation", training, answers)
    assert queries and support
    assert not {item.medium for item in queries} & {item.medium for item in support}


@pytest.mark.parametrize("name", ["textvqa", "vizwiz"])
def test_real_questions_are_read(tmp_path: Path, name: str) -> None:
    """The first 200 validation questions, which here stand for the training set as well."""
    if not (SLICES / name).is_dir():
        pytest.skip(f"the slices of real questions are not at {SLICES}")
    folder = tmp_path / name
    folder.mkdir()
    for kind in ("questions", "annotations"):
        content = (SLICES / name / f"val_{kind}_vqa_format.json").read_bytes()
        for subset in ("train", "val"):
            (folder / f"{subset}_{kind}_vqa_format.json").write_bytes(content)
    for media in ("train_images", "train", "val"):
        (folder / media).mkdir()
    benchmark = open_benchmark(name, str(tmp_path), "test")
    assert benchmark.split == "val" and len(benchmark.queries) == len(benchmark.support) == 200
    assert {len(item.answers) for item in benchmark.queries} == {10}
    # What most people said scores 100 wherever four of them agree.
    most = [max(item.answers, key=item.answers.count) for item in benchmark.queries]
    scores = vqa_accuracy(most, [item.answers for item in benchmark.queries])
    for item, answer, score in zip(benchmark.queries, most, scores, strict=True):
        assert item.answers.count(answer) < 4 or score == pytest.approx(100)
    first = benchmark.queries[0]
    if name == "textvqa":
        assert first.medium == "train_images/003a8ae2ef43b901.jpg" and first.id == "34602"
        assert first.answers[:2] == ("nous les gosses", "dakota")
    else:
        assert first.medium == "val/VizWiz_val_00000000.jpg" and first.id == "0"
        assert first.details["answer_type"] == "unanswerable"
