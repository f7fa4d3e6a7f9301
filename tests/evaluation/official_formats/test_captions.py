"""COCO's files of captions and results: joined by id, in the order of the images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.official_formats.captions import read_captions

ANNOTATIONS = {
    "images": [{"id": 3}, {"id": 1}, {"id": 2}],
    "annotations": [
        {"image_id": 1, "caption": "one"},
        {"image_id": 2, "caption": "two"},
        {"image_id": 1, "caption": "uno"},
        {"image_id": 3, "caption": "three"},
    ],
}


def write(folder: Path, annotations: Any, results: Any) -> tuple[str, str]:
    for name, content in (("annotations", annotations), ("results", results)):
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    return str(folder / "annotations.json"), str(folder / "results.json")


def result(key: object, text: object) -> dict[str, object]:
    return {"image_id": key, "caption": text}


def test_results_are_joined_by_id_in_the_order_of_the_images(tmp_path: Path) -> None:
    results = [result(1, "a"), result(3, "b")]
    read = read_captions(*write(tmp_path, ANNOTATIONS, results))
    assert read.ids == (3, 1)
    assert read.predictions == ("b", "a")
    assert read.references == (("three",), ("one", "uno"))
    assert read.num_without == 1


def test_images_may_be_left_out(tmp_path: Path) -> None:
    annotations = {"annotations": ANNOTATIONS["annotations"]}
    read = read_captions(*write(tmp_path, annotations, [result(3, "b"), result(1, "a")]))
    assert read.ids == (1, 3)


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ([result(9, "a")], "1 of 1 ids are not in the annotations, the first of them 9"),
        ([result("1", "a")], "'1'; there the id is a number"),
        ([result(1, "a"), result(1, "b")], "the id 1 comes twice"),
        ([result(None, "a")], "the id None is neither a number nor a string"),
        ([result(1, 5)], "the caption 5 is not a string"),
        ([{"image_id": 1}], "no 'caption'"),
        ({"image_id": 1}, "expected a list"),
        ([], "there are no results"),
        ("[{", "not JSON"),
    ],
)
def test_wrong_results_are_named(tmp_path: Path, results: Any, words: str) -> None:
    with pytest.raises(UserError) as raised:
        read_captions(*write(tmp_path, ANNOTATIONS, results))
    assert words in str(raised.value) and "--results=" in str(raised.value)


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"images": [{"id": 1}], "annotations": []}, "image 1 has no caption"),
        ({"images": [], "annotations": ANNOTATIONS["annotations"]}, "not among the images"),
        ([], "expected COCO's"),
    ],
)
def test_wrong_annotations_are_named(tmp_path: Path, annotations: Any, words: str) -> None:
    with pytest.raises(UserError) as raised:
        read_captions(*write(tmp_path, annotations, [result(1, "a")]))
    assert words in str(raised.value) and "--annotations=" in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--annotations is missing"):
        read_captions("", "x")
    with pytest.raises(UserError, match="--annotations=/nowhere.json: No such file"):
        read_captions("/nowhere.json", "x")
