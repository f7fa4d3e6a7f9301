"""VQA accuracy: the official normalisation, and the leave-one-out score worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamingo_jax.evaluation.metrics.vqa_accuracy import (
    capped_vqa_accuracy,
    normalise,
    vizwiz_accuracy,
    vqa_accuracy,
)
from flamingo_jax.evaluation.official_formats.vqa import read_vqa
from tests.evaluation.metrics import golden

SLICES = Path(__file__).parents[4] / "shared" / "vqa-slices"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The Cat.", "cat"),
        ("an apple and a pear", "apple and pear"),
        ("none", "0"),
        ("Two dogs", "2 dogs"),
        ("eleven", "eleven"),
        # A mark beside a space goes without a trace, one between letters leaves a space.
        ("red, white", "red white"),
        ("red,white", "red white"),
        ("t-shirt", "t shirt"),
        ("yes!", "yes"),
        # With a comma between digits, every mark goes without a trace.
        ("1,000-2,000", "10002000"),
        # Full stops go unless a digit follows.
        ("3.5", "3.5"),
        ("u.s. mail", "us mail"),
        ("$.50", "$.50"),
        # Colons and apostrophes stay.
        ("10:30", "10:30"),
        ("dog's", "dog's"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("couldntve", "couldntve"),
        ("y'alld've", "y'all'd've"),
        ("'ows'at", "'ow's'at"),
        ("twas", "'twas"),
        ("somebody'd", "somebodyd"),
        # Entries that the official table cannot reach, since it is asked in lower case.
        ("Im", "im"),
        ("Ive", "ive"),
        # Words that the official table leaves alone.
        ("its", "its"),
        ("shes", "shes"),
        ("wed", "wed"),
        (" two\nlines ", "2 lines"),
    ],
)
def test_normalise(answer: str, expected: str) -> None:
    assert normalise(answer) == expected


def test_at_most_32_full_stops_go() -> None:
    assert normalise("." * 40) == "." * 8


@pytest.mark.parametrize(("matches", "points"), [(0, 0), (1, 30), (2, 60), (3, 90), (4, 100)])
def test_leave_one_out(matches: int, points: float) -> None:
    # Of ten people, m gave the answer: m of the ten subsets hold m - 1 matches, the others m.
    answers = ["blue"] * matches + [f"other {index}" for index in range(10 - matches)]
    (score,) = vqa_accuracy(["blue"], [answers])
    assert score == pytest.approx(points)


def test_all_ten_agree() -> None:
    assert vqa_accuracy(["Blue "], [["blue"] * 10]).tolist() == [100.0]
    # Nothing but case and outer spaces is normalised then.
    assert vqa_accuracy(["the blue"], [["blue"] * 10]).tolist() == [0.0]
    assert vqa_accuracy(["the blue"], [["blue"] * 9 + ["red"]]).tolist() == [100.0]


def test_people_are_normalised_too() -> None:
    answers = ["2", "two", "Two.", "the 2", "dog", "dog", "cat", "cat", "cow", "cow"]
    assert vqa_accuracy(["two"], [answers]).tolist() == [100.0]


def test_items_are_scored_apart_in_order() -> None:
    answers = [["yes"] * 10, ["no"] * 10]
    assert vqa_accuracy(["no", "no"], answers).tolist() == [0.0, 100.0]


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        vqa_accuracy(["yes"], [["yes"] * 3])
    with pytest.raises(TypeError, match="item 0"):
        vqa_accuracy(["yes"], ["yes"])


def stored() -> tuple[list[str], list[list[str]], list[list[str]], dict[str, Any]]:
    """Predictions, answers, what else is said of each person, and the official scores."""
    content = golden.load("vqa.json")
    questions = content["questions"]
    answers = [[answer["answer"] for answer in question["answers"]] for question in questions]
    people = [
        [f"{answer['answer_confidence']} {answer.get('answer_id')}" for answer in row["answers"]]
        for row in questions
    ]
    return [question["prediction"] for question in questions], answers, people, content


def test_stored_scores_of_the_official_evaluation() -> None:
    predictions, answers, people, content = stored()
    found = vqa_accuracy(predictions, answers, people)
    np.testing.assert_allclose(found, content["vqa"], atol=golden.TOLERANCE)
    assert 20 < found.mean() < 80
    # The cases tell persons by position from persons by what is said of them.
    assert (vqa_accuracy(predictions, answers) > found + 1).any()


def test_stored_scores_of_the_evaluation_of_vizwiz() -> None:
    predictions, answers, _, content = stored()
    found = vizwiz_accuracy(predictions, answers)
    np.testing.assert_allclose(found, content["vizwiz"], atol=golden.TOLERANCE)
    assert (vqa_accuracy(predictions, answers) != found).any()


def test_stored_normalisation_of_every_contraction() -> None:
    expected = golden.load("vqa.json")["normalised"]
    assert len(expected) > 150
    assert {word: normalise(word) for word in expected} == expected


def test_vizwiz_curls_the_apostrophes_it_restores() -> None:
    for word, expected in golden.load("vqa.json")["normalised_by_vizwiz"].items():
        assert vizwiz_accuracy([word], [[expected] * 10]).tolist() == [100.0]


def test_equal_annotations_are_one_person() -> None:
    answers = [["cat"] * 4 + ["dog"] * 6]
    same = [["yes"] * 10]
    # Without the four equal persons there is no cat left; the six others see four.
    assert vqa_accuracy(["cat"], answers, same).tolist() == pytest.approx([60.0])
    assert vqa_accuracy(["cat"], answers).tolist() == [100.0]


@pytest.mark.parametrize(("matches", "points"), [(0, 0), (1, 100 / 3), (2, 200 / 3), (3, 100)])
def test_capped_accuracy_leaves_nobody_out(matches: int, points: float) -> None:
    answers = ["The cat."] * matches + ["dog"] * (10 - matches)
    assert capped_vqa_accuracy(["cat"], [answers])[0] == pytest.approx(points)


@pytest.mark.parametrize("name", ["textvqa", "vizwiz"])
def test_most_common_answers_of_real_questions(name: str, tmp_path: Path) -> None:
    annotations = SLICES / name / "val_annotations_vqa_format.json"
    if not annotations.is_file():
        pytest.skip(f"there is no {annotations}: slices of the real data are not here")
    expected = golden.load("vqa.json")["most_common"][name]
    rows = json.loads(annotations.read_text(encoding="utf-8"))["annotations"]
    results = []
    for row in rows:
        answers = [answer["answer"] for answer in row["answers"]]
        most_common = max(dict.fromkeys(answers), key=answers.count)
        results.append({"question_id": row["question_id"], "answer": most_common})
    (tmp_path / "results.json").write_text(json.dumps(results), encoding="utf-8")
    read = read_vqa(str(annotations), str(tmp_path / "results.json"))
    assert len(read.ids) == expected["n"]
    found = vqa_accuracy(read.predictions, read.answers, read.people).mean()
    assert found == pytest.approx(expected["vqa"], abs=golden.TOLERANCE)
    found = vizwiz_accuracy(read.predictions, read.answers).mean()
    assert found == pytest.approx(expected["vizwiz"], abs=golden.TOLERANCE)
