"""VizWiz, in both of its forms."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.vizwiz import read_vizwiz
from tests.evaluation.benchmarks import miniatures
from tests.evaluation.benchmarks.pictures_shown import check_pictures

WRITE = [miniatures.vizwiz, miniatures.vizwiz_in_vqa_format]


@pytest.mark.parametrize("write", WRITE)
@pytest.mark.parametrize("split", ["test", "validation"])
def test_each_set_has_its_folder_of_pictures(
    tmp_path: Path, write: Callable[[Path], Path], split: str
) -> None:
    benchmark = read_vizwiz(str(write(tmp_path)), split)
    check_pictures(benchmark)
    folders = {item.medium.partition("/")[0] for item in benchmark.queries}
    assert folders == {"train" if split == "validation" else "val"}
    assert {item.medium.partition("/")[0] for item in benchmark.support} == {"train"}


@pytest.mark.parametrize("write", WRITE)
def test_val_is_asked_where_the_test_set_is_not_there(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    benchmark = read_vizwiz(str(write(tmp_path)), "test")
    assert (benchmark.name, benchmark.split) == ("vizwiz", "val")
    assert [item.question for item in benchmark.queries] == [
        "Ok. There is another picture.",
        "What is this book?",
    ]
    assert benchmark.queries[1].answers == ("dog years", *["dog"] * 9)
    assert benchmark.queries[1].medium == "val/VizWiz_val_00000001.jpg"


def test_ids_and_details_are_those_of_the_form(tmp_path: Path) -> None:
    released = read_vizwiz(str(miniatures.vizwiz(tmp_path / "a")), "test").queries[1]
    assert released.id == "VizWiz_val_00000001.jpg"
    assert released.details == {"answer_type": "other", "answerable": 1}
    converted = read_vizwiz(str(miniatures.vizwiz_in_vqa_format(tmp_path / "b")), "test").queries[1]
    assert converted.id == "1"
    assert converted.details["answer_type"] == "unanswerable"


def test_the_test_set_is_asked_where_its_questions_are(tmp_path: Path) -> None:
    folder = miniatures.vizwiz(tmp_path)
    miniatures.add_vizwiz_test(folder)
    benchmark = read_vizwiz(str(folder), "test")
    assert benchmark.split == "test"
    (query,) = benchmark.queries
    assert (query.medium, query.answers) == ("test/VizWiz_test_00000000.jpg", ())
    check_pictures(benchmark)
    assert read_vizwiz(str(folder), "val").split == "val"


def test_released_files_may_lie_as_they_are_packed(tmp_path: Path) -> None:
    folder = miniatures.vizwiz(tmp_path)
    expected = read_vizwiz(str(folder), "test")
    (folder / "Annotations").mkdir()
    for name in ("train.json", "val.json"):
        (folder / name).rename(folder / "Annotations" / name)
    found = read_vizwiz(str(folder), "test")
    assert (found.queries, found.support) == (expected.queries, expected.support)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.append(rows[0]), "[2]: the image 'VizWiz_val_00000000.jpg' comes a"),
        (lambda rows: rows[0].pop("answers"), "[0] has no field 'answers'"),
        (lambda rows: rows[0].update(answerable=2), "[0]: answerable is 2"),
        (lambda rows: rows[1].update(answers=["dog"]), "[1].answers[0]: it is of type str"),
        (lambda rows: rows[1].update(answers=[]), "has 0 answers"),
        (lambda rows: rows.clear(), "has no questions"),
    ],
)
def test_a_broken_file_is_told_in_one_line(
    tmp_path: Path, change: Callable[[list[Any]], object], said: str
) -> None:
    folder = miniatures.vizwiz(tmp_path)
    content = json.loads((folder / "val.json").read_text())
    change(content)
    miniatures.write_json(folder / "val.json", content)
    with pytest.raises(UserError) as caught:
        read_vizwiz(str(folder), "test")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_picture_outside_the_folder_is_refused(tmp_path: Path) -> None:
    folder = miniatures.vizwiz(tmp_path)
    path = folder / "val.json"
    path.write_text(path.read_text().replace("VizWiz_val_00000000", "../val"))
    benchmark = read_vizwiz(str(folder), "test")
    with pytest.raises(UserError, match="unsafe_name"):
        benchmark.query_media.read(benchmark.queries[0].medium)
