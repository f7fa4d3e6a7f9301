"""VisDial: judged rounds with their hundred answers, and whole dialogs as shots."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.benchmarks.visdial import read_visdial
from tests.evaluation.benchmarks import miniature_dialogs as said
from tests.evaluation.benchmarks import miniatures
from tests.evaluation.benchmarks.pictures_shown import by_id, check_pictures


def _history(image: int, turns: int) -> tuple[str, ...]:
    """What was said before round `turns` + 1."""
    told = [said.caption(image)]
    for turn in range(1, turns + 1):
        told += [said.question(image, turn), said.answer(image, turn)]
    return tuple(told)


def _check_query(item: Item, image: int, turn: int) -> None:
    assert item.id == str(image)
    assert item.question == said.question(image, turn)
    assert item.history == _history(image, turn - 1)
    assert item.answers == (said.answer(image, turn),)
    assert len(item.candidates) == said.NUM_OPTIONS
    assert item.label == said.place_of_answer(image, turn)
    assert item.candidates[item.label] == said.answer(image, turn)
    assert item.candidates[item.label - 1] == f"no {(item.label - 1) % said.NUM_OPTIONS}"
    assert item.details == {"relevance": tuple(said.relevance(image, turn)), "round_id": turn}


def test_the_judged_rounds_are_asked_in_the_order_of_the_dialogs(tmp_path: Path) -> None:
    benchmark = read_visdial(str(miniatures.visdial(tmp_path)), "test")
    assert (benchmark.name, benchmark.split, benchmark.candidates) == ("visdial", "val", ())
    first, second = benchmark.queries
    _check_query(first, 185565, 1)
    assert first.history == ("a picture of 185565",)
    _check_query(second, 284024, 5)
    assert len(second.history) == 9
    assert second.medium == "VisualDialog_val2018/VisualDialog_val2018_000000284024.jpg"


def test_a_shot_is_a_whole_dialog(tmp_path: Path) -> None:
    benchmark = read_visdial(str(miniatures.visdial(tmp_path)), "test")
    support = by_id(benchmark.support)
    assert set(support) == {"378466", "378461", "575029", "575077", "57870", "391895"}
    for name, item in support.items():
        image = int(name)
        assert item.history == _history(image, said.NUM_ROUNDS - 1)
        assert item.question == said.question(image, said.NUM_ROUNDS)
        assert item.answers == (said.answer(image, said.NUM_ROUNDS),)
        # The caption and ten rounds of two: the paper's 21 sentences a shot.
        assert len(item.history) + 2 == 21


def test_training_pictures_are_found_in_either_folder_of_coco(tmp_path: Path) -> None:
    benchmark = read_visdial(str(miniatures.visdial(tmp_path)), "test")
    support = by_id(benchmark.support)
    for number, subset in ((378466, "train2014"), (391895, "val2014")):
        medium = support[str(number)].medium
        found = benchmark.support_media.read(medium)
        assert found.name == f"visdial: {miniatures.coco_name(subset, number)}"
    with pytest.raises(
        UserError, match="no file '.*train2014_000000000001.jpg' or '.*val2014_0000"
    ):
        benchmark.support_media.read("train2014/COCO_train2014_000000000001.jpg")


def test_the_validation_asks_judged_training_dialogs(tmp_path: Path) -> None:
    benchmark = read_visdial(str(miniatures.visdial(tmp_path)), "validation")
    assert benchmark.split == "validation"
    first, second = benchmark.queries
    _check_query(first, 378461, 10)
    _check_query(second, 575077, 2)
    assert set(by_id(benchmark.support)) == {"378466", "575029", "57870", "391895"}


def test_the_validation_leaves_out_what_cannot_be_scored(tmp_path: Path) -> None:
    folder = miniatures.visdial(tmp_path)
    path = folder / "visdial_1.0_train_dense_annotations.json"
    judged = json.loads(path.read_text())
    judged[0]["relevance"] = [0.0] * said.NUM_OPTIONS
    miniatures.write_json(path, judged)
    (query,) = read_visdial(str(folder), "validation").queries
    assert query.id == "378461"


def test_every_dialog_shows_its_picture(tmp_path: Path) -> None:
    benchmark = read_visdial(str(miniatures.visdial(tmp_path)), "test")
    # The other half of the training pictures have the names of another folder.
    in_train = [item for item in benchmark.support if item.id in ("378466", "378461", "575029")]
    check_pictures(dataclasses.replace(benchmark, support=in_train))


Change = Callable[[Any, Any], object]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d, j: j.append(j[0]), "[2]: the image_id '284024' comes a second time"),
        (lambda d, j: j.pop(), "dialogs[0]: dialog '185565' has no dense annotation"),
        (lambda d, j: j[0].update(image_id=7), "there is no dialog about image_id '7'"),
        (lambda d, j: j[0].update(round_id=11), "[0]: round_id is 11; expected 1 to 10"),
        (lambda d, j: j[0].update(round_id=0), "[0]: round_id is 0; expected 1 to 10"),
        (lambda d, j: j[0]["gt_relevance"].pop(), "99 numbers, but the round has 100 answer_opt"),
        (lambda d, j: j[0]["gt_relevance"].__setitem__(0, None), "[0]: gt_relevance is None"),
        (lambda d, j: j[0]["gt_relevance"].__setitem__(0, -0.5), "expected a number of at least 0"),
        (lambda d, j: j[0].update(gt_relevance=[0] * 100), "[0]: no answer is relevant"),
        (lambda d, j: d["dialogs"].append(d["dialogs"][0]), "the image_id '185565' comes a second"),
        (lambda d, j: d["dialogs"][1].update(dialog=[]), "dialogs[1] has no rounds"),
        (lambda d, j: d["dialogs"][1].update(dialog=5), "dialog is of type int"),
        (lambda d, j: d["dialogs"][1]["dialog"][4].pop("question"), "has no field 'question'"),
        (lambda d, j: d["dialogs"][1]["dialog"][3].update(answer=10**6), "[3]: answer is 1000"),
        (lambda d, j: d["dialogs"][1]["dialog"][4].update(gt_index=100), "gt_index is 100"),
        (lambda d, j: d["dialogs"][1]["dialog"][4]["answer_options"].__setitem__(2, -1),
         "an option is -1"),
        (lambda d, j: d["answers"].__setitem__(0, 5), "answers[0] is of type int"),
        (lambda d, j: d["dialogs"][0].pop("caption"), "dialogs[0] has no field 'caption'"),
        (lambda d, j: d.pop("questions"), "has no field 'questions'"),
    ],
)  # fmt: skip
def test_broken_files_are_told_in_one_line(tmp_path: Path, change: Change, told: str) -> None:
    folder = miniatures.visdial(tmp_path)
    paths = [folder / f"visdial_1.0_val{end}.json" for end in ("", "_dense_annotations")]
    dialogs, judged = (json.loads(path.read_text()) for path in paths)
    change(dialogs["data"], judged)
    for path, content in zip(paths, (dialogs, judged), strict=True):
        miniatures.write_json(path, content)
    with pytest.raises(UserError) as caught:
        read_visdial(str(folder), "test")
    assert told in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith("visdial: ")


def test_missing_files_are_named(tmp_path: Path) -> None:
    folder = miniatures.visdial(tmp_path)
    (folder / "visdial_1.0_train_dense_annotations.json").unlink()
    assert len(read_visdial(str(folder), "test").queries) == 2
    with pytest.raises(UserError, match="no file 'visdial_1.0_train_dense_annotations.json'"):
        read_visdial(str(folder), "validation")
    (folder / "visdial_1.0_val_dense_annotations.json").unlink()
    with pytest.raises(UserError, match="no file 'visdial_1.0_val_dense_annotations.json'"):
        read_visdial(str(folder), "test")
