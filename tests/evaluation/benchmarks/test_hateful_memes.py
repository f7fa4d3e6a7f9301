"""HatefulMemes: lines of JSON, the text on the meme, balanced shots."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.hateful_memes import read_hateful_memes
from tests.evaluation.benchmarks import miniatures
from tests.evaluation.benchmarks.pictures_shown import by_id, check_pictures


def test_the_seen_test_set_is_asked_with_the_text_of_its_memes(tmp_path: Path) -> None:
    benchmark = read_hateful_memes(str(miniatures.hateful_memes(tmp_path)), "test")
    assert (benchmark.name, benchmark.split) == ("hateful_memes", "test_seen")
    assert benchmark.candidates == ("no", "yes")
    assert [(i.id, i.medium, i.answers, i.label) for i in benchmark.queries] == [
        ("16395", "img/16395.png", ("yes",), 1),
        ("37405", "img/37405.png", ("no",), 0),
        ("94180", "img/94180.png", ("no",), 0),
    ]
    assert benchmark.queries[1].question == "introducing the spinner\u2028new"
    check_pictures(benchmark)


def test_shots_are_training_memes_of_either_label_in_turn(tmp_path: Path) -> None:
    benchmark = read_hateful_memes(str(miniatures.hateful_memes(tmp_path)), "test")
    assert [item.label for item in benchmark.support] == [0, 1, 0, 1, 0]
    assert set(by_id(benchmark.support)) == {"42953", "23058", "13894", "01235", "27985"}
    validation = read_hateful_memes(str(miniatures.hateful_memes(tmp_path)), "validation")
    assert {item.label for item in validation.queries} == {0, 1}
    assert not set(by_id(validation.queries)) & set(by_id(validation.support))
    check_pictures(validation)


def test_shots_are_32_of_each_label(tmp_path: Path) -> None:
    folder = miniatures.hateful_memes(tmp_path)
    rows = [
        {"id": n, "img": f"img/{n}.png", "label": int(n % 5 == 0), "text": "t"} for n in range(400)
    ]
    miniatures.write_json_lines(folder / "train.jsonl", rows)
    support = read_hateful_memes(str(folder), "test").support
    assert [item.label for item in support] == [0, 1] * 32


def test_another_set_is_asked_where_test_seen_is_not_there(tmp_path: Path) -> None:
    folder = miniatures.hateful_memes(tmp_path)
    assert read_hateful_memes(str(folder), "dev_seen").split == "dev_seen"
    (folder / "test_seen.jsonl").unlink()
    benchmark = read_hateful_memes(str(folder), "test")
    assert benchmark.split == "dev_seen" and [i.id for i in benchmark.queries] == ["8291"]
    # As OpenFlamingo has the files.
    (folder / "dev_seen.jsonl").rename(folder / "dev.json")
    (folder / "train.jsonl").rename(folder / "train.json")
    assert read_hateful_memes(str(folder), "test").split == "dev"
    with pytest.raises(UserError, match="no file 'test_seen.jsonl' or 'test_seen.json'"):
        read_hateful_memes(str(folder), "test_seen")
    (folder / "dev.json").unlink()
    with pytest.raises(UserError, match="'test_seen.jsonl' or .*'dev_seen.jsonl' or .*'dev.json'"):
        read_hateful_memes(str(folder), "test")


def test_a_set_without_labels_has_no_answers(tmp_path: Path) -> None:
    folder = miniatures.hateful_memes(tmp_path)
    row = {"id": 1, "img": "img/94180.png", "text": "x"}
    miniatures.write_json_lines(folder / "test_seen.jsonl", [row])
    (query,) = read_hateful_memes(str(folder), "test").queries
    assert (query.label, query.answers) == (-1, ())


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("test_seen", {"id": 16395, "img": "a", "label": 0, "text": ""}, "line 4: the id '16395'"),
        ("test_seen", {"id": 1, "img": "a", "label": 2, "text": ""}, "line 4: label is 2"),
        ("test_seen", {"id": 1, "img": "a", "label": True, "text": ""}, "line 4: label is True"),
        ("test_seen", {"id": 1, "label": 0, "text": ""}, "line 4 has no field 'img'"),
        ("train", {"id": 1, "img": "a", "label": 0}, "line 6 has no field 'text'"),
        ("train", [1], "line 6: it is of type list"),
    ],
)
def test_a_broken_line_is_told_with_its_number(
    tmp_path: Path, name: str, line: object, said: str
) -> None:
    folder = miniatures.hateful_memes(tmp_path)
    with (folder / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps(line))
    with pytest.raises(UserError) as caught:
        read_hateful_memes(str(folder), "test")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_training_memes_of_one_label_are_refused(tmp_path: Path) -> None:
    folder = miniatures.hateful_memes(tmp_path)
    row = {"id": 1, "img": "a", "label": 0, "text": ""}
    miniatures.write_json_lines(folder / "train.jsonl", [row])
    with pytest.raises(UserError, match="expected both"):
        read_hateful_memes(str(folder), "test")


def test_a_picture_outside_the_folder_is_refused(tmp_path: Path) -> None:
    folder = miniatures.hateful_memes(tmp_path)
    row = {"id": 1, "img": "../train.jsonl", "label": 0, "text": ""}
    miniatures.write_json_lines(folder / "test_seen.jsonl", [row])
    benchmark = read_hateful_memes(str(folder), "test")
    with pytest.raises(UserError, match="unsafe_name"):
        benchmark.query_media.read(benchmark.queries[0].medium)
