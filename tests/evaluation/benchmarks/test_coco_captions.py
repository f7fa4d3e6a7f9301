"""COCO's captions file: joined by id, every caption kept, mistakes said in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.coco_captions import CocoCaptions, open_coco_captions
from tests.evaluation import coco_files


def _open(folder: Path, annotations: str = coco_files.ANNOTATIONS) -> CocoCaptions:
    return open_coco_captions(annotations, coco_files.IMAGES, str(folder), "config.b", "config.c")


def test_every_picture_has_all_its_captions_as_they_were_written(tmp_path: Path) -> None:
    found = _open(coco_files.write(tmp_path)).pictures
    assert [picture.name for picture in found] == [
        f"{colour}.png" for colour in reversed(coco_files.COLOURS)
    ]
    for picture in found:
        assert picture.captions == coco_files.captions_of(picture.name.removesuffix(".png"))


def test_outer_spaces_and_empty_captions_are_left_out(tmp_path: Path) -> None:
    content = coco_files.content()
    content["annotations"][0]["caption"] = "  A wall.  Black! \n"
    of_red = next(image["id"] for image in content["images"] if image["file_name"] == "red.png")
    for annotation in content["annotations"]:
        if annotation["image_id"] == of_red:
            annotation["caption"] = " "
    found = {
        picture.name: picture for picture in _open(coco_files.write(tmp_path, content)).pictures
    }
    assert found["black.png"].captions[0] == "A wall.  Black!"
    assert "red.png" not in found and len(found) == 4


def test_pictures_are_read_as_training_reads_them(tmp_path: Path) -> None:
    captions = _open(coco_files.write(tmp_path))
    for number, picture in enumerate(captions.pictures):
        pixels = captions.read(number, 16)
        assert pixels.shape == (1, 16, 16, 3) and pixels.dtype == np.uint8
        colour = coco_files.COLOURS[picture.name.removesuffix(".png")]
        assert pixels[0, 8, 8].tolist() == list(colour)
        # Eight by six pixels fill the square from side to side, not from top to bottom.
        assert pixels[0, 8, 0].tolist() == list(colour)
        assert pixels[0, 0, 8].tolist() == [124, 116, 104]


def test_shuffling_keeps_pictures_and_captions_together(tmp_path: Path) -> None:
    captions = _open(coco_files.write(tmp_path))
    shuffled = captions.shuffled(np.random.default_rng(1))
    assert shuffled.pictures != captions.pictures
    assert set(shuffled.pictures) == set(captions.pictures)
    again = captions.shuffled(np.random.default_rng(1))
    assert again.pictures == shuffled.pictures


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("gone.png", None, "captions.json: missing_media (there is no 'gone.png' in "),
        ("torn.png", b"\x89PNG\r\n\x1a\nno more", "torn.png: truncated_image"),
        ("text.png", b"hello", "text.png: not_an_image"),
        ("../outside.png", None, "unsafe_name"),
    ],
)
def test_a_picture_that_cannot_be_read_stops_the_evaluation(
    tmp_path: Path, name: str, data: bytes | None, said: str
) -> None:
    content = coco_files.content()
    content["images"][1]["file_name"] = name
    coco_files.write(tmp_path, content)
    if data is not None:
        (tmp_path / coco_files.IMAGES / name).write_bytes(data)
    with pytest.raises(UserError) as caught:
        _open(tmp_path).read(1, 16)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def _without(content: Any, part: str, field: str) -> Any:
    for item in content[part]:
        del item[field]
    return content


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ([1, 2], "no captions in COCO's form"),
        ({"images": []}, "KeyError: 'annotations'"),
        # The file of boxes has the same pictures, and annotations without a caption.
        (_without(coco_files.content(), "annotations", "caption"), "KeyError: 'caption'"),
        (_without(coco_files.content(), "images", "file_name"), "KeyError: 'file_name'"),
        ({**coco_files.content(), "images": coco_files.content()["images"][1:]}, "KeyError: 96"),
        ({"images": [], "annotations": []}, "has 0 pictures with captions"),
    ],
)
def test_another_file_than_one_of_captions_is_refused(
    tmp_path: Path, annotations: Any, said: str
) -> None:
    coco_files.write(tmp_path, annotations)
    with pytest.raises(UserError, match="captions.json") as caught:
        _open(tmp_path)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_missing_files_are_named_with_their_fields(tmp_path: Path) -> None:
    coco_files.write(tmp_path)
    with pytest.raises(UserError, match=r"config.b: cannot read .*nothing.json'"):
        _open(tmp_path, "nothing.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UserError, match=r"broken.json: not JSON"):
        _open(tmp_path, "broken.json")
    with pytest.raises(UserError, match=r"config.c is 'elsewhere'"):
        open_coco_captions(
            coco_files.ANNOTATIONS, "elsewhere", str(tmp_path), "config.b", "config.c"
        )
