"""STAR: options by their ids, the test set without answers, and broken records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.star import read_star
from tests.evaluation.benchmarks import miniature_clips
from tests.evaluation.benchmarks.clips_shown import by_id, check_clips

FOOD = ("The medicine.", "The sandwich.", "The bag.", "The book.")


def test_val_has_answers_among_its_options(tmp_path: Path) -> None:
    benchmark = read_star(str(miniature_clips.star(tmp_path)), "val")
    assert benchmark.split == "val" and benchmark.candidates == ()
    check_clips(benchmark)
    (item,) = benchmark.queries
    assert (item.id, item.medium) == ("Interaction_T1_8", "Charades_v1_480/ZS9XR")
    assert item.question == "Which object was taken?"
    assert item.candidates == FOOD and item.label == 3 and item.answers == ("The book.",)
    assert item.details == {"start_seconds": 15.7, "end_seconds": 23.7}


def test_the_test_set_has_no_answers(tmp_path: Path) -> None:
    benchmark = read_star(str(miniature_clips.star(tmp_path)), "test")
    (item,) = benchmark.queries
    assert benchmark.split == "test"
    assert item.candidates == FOOD and item.label == -1 and item.answers == ()


def test_val_is_asked_where_the_test_set_is_not_there(tmp_path: Path) -> None:
    folder = miniature_clips.star(tmp_path)
    (folder / "STAR_test.json").unlink()
    benchmark = read_star(str(folder), "test")
    assert benchmark.split == "val"
    assert benchmark.queries == read_star(str(folder), "val").queries
    assert [item.label for item in benchmark.queries] == [3]


def test_shots_have_their_own_options(tmp_path: Path) -> None:
    support = by_id(read_star(str(miniature_clips.star(tmp_path)), "test").support)
    assert support["Interaction_T1_2"].candidates == ("The door.", "The box.")
    assert [support[f"Interaction_T1_{n}"].label for n in (4, 2, 1)] == [1, 0, 2]
    assert support["Interaction_T1_1"].answers == ("The bag.",)


def test_questions_about_one_video_are_on_one_side(tmp_path: Path) -> None:
    benchmark = read_star(str(miniature_clips.star(tmp_path)), "validation")
    asked = {item.medium for item in benchmark.queries}
    assert asked and not asked & {item.medium for item in benchmark.support}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.append(c[0]), r"\[1\]: the id 'Interaction_T1_8' comes a second time"),
        (lambda c: c[0].update(answer="A cup."), r"\[0\]: the answer 'A cup.' is none of its"),
        (lambda c: c[0].pop("answer"), r"\[0\] has no answer or caption"),
        (lambda c: c[0].pop("start"), r"\[0\] has no field 'start'"),
        (lambda c: c[0].update(end="soon"), r"\[0\]: end is 'soon'; expected a number"),
        (lambda c: c[0].update(end=1), r"\[0\]: a segment from 15.7 to 1 seconds"),
        (lambda c: c[0].update(choices=c[0]["choices"][:1]), r"\[0\] has 1 choices; expected two"),
        (lambda c: c[0]["choices"].append({"choice_id": 1, "choice": "x"}),
         r"\[0\] choices\[4\]: the choice_id 1 comes a second time"),
        (lambda c: c[0]["choices"][0].pop("choice"), r"\[0\] choices\[0\] has no field 'choice'"),
        (lambda c: c[0].pop("question_id"), r"\[0\]: it is of type NoneType; expected dict"),
    ],
)  # fmt: skip
def test_broken_records_are_told(tmp_path: Path, change: Any, said: str) -> None:
    folder = miniature_clips.star(tmp_path)
    path = folder / "STAR_val.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"star: '.*/STAR_val.json'{said}"):
        read_star(str(folder), "val")
