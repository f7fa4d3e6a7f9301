"""COCO and Flickr30k in Karpathy's splits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.karpathy import read_coco, read_flickr30k
from tests.evaluation.benchmarks import miniatures
from tests.evaluation.benchmarks.pictures_shown import by_id, check_pictures


def test_coco_asks_the_test_pictures_in_the_order_of_the_file(tmp_path: Path) -> None:
    benchmark = read_coco(str(miniatures.coco(tmp_path)), "test")
    assert (benchmark.name, benchmark.split, benchmark.candidates) == ("coco", "test", ())
    assert [item.id for item in benchmark.queries] == ["391895", "60623"]
    assert benchmark.queries[0].medium == "val2014/COCO_val2014_000000391895.jpg"
    # Every caption is a reference, without outer spaces; an empty one is none.
    assert benchmark.queries[0].answers == ("A man on a moped.", "A man rides")
    assert benchmark.queries[1].answers == ("A girl eats.", "A girl with a spoon.")
    check_pictures(benchmark)


def test_coco_shows_train_and_restval_and_nothing_of_val(tmp_path: Path) -> None:
    benchmark = read_coco(str(miniatures.coco(tmp_path)), "test")
    support = by_id(benchmark.support)
    # One training picture has no caption, so that no shot could tell one.
    assert set(support) == {"57870", "522418", "318219", "222564", "554625"}
    assert support["57870"].answers[0] == "A table with chairs."
    assert support["522418"].medium == "val2014/COCO_val2014_000000522418.jpg"


def test_coco_validates_on_training_pictures(tmp_path: Path) -> None:
    benchmark = read_coco(str(miniatures.coco(tmp_path)), "validation")
    assert benchmark.split == "validation"
    queries, support = by_id(benchmark.queries), by_id(benchmark.support)
    assert not set(queries) & set(support)
    assert set(queries) | set(support) == {"57870", "522418", "318219", "222564", "554625"}
    check_pictures(benchmark)


@pytest.mark.parametrize("folder", ["flickr30k-images", "flickr30k_images", "images"])
def test_flickr30k_has_the_stems_of_its_files_as_ids(tmp_path: Path, folder: str) -> None:
    path = miniatures.flickr30k(tmp_path)
    (path / "flickr30k-images").rename(path / folder)
    benchmark = read_flickr30k(str(path), "test")
    assert [item.id for item in benchmark.queries] == ["1007129816", "1009434119"]
    assert benchmark.queries[0].medium == f"{folder}/1007129816.jpg"
    assert benchmark.queries[0].answers == ("A man with pierced ears.", "A man in a hat.")
    assert set(by_id(benchmark.support)) == {"1000092795", "10002456", "1000268201"}
    check_pictures(benchmark)
    check_pictures(read_flickr30k(str(path), "validation"))


def _change(path: Path, change: Callable[[list[Any]], object]) -> None:
    content = json.loads(path.read_text())
    change(content["images"])
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda images: images.append(images[0]), "images[9]: the id '391895' comes a second"),
        (lambda images: images[0].pop("cocoid"), "images[0] has no field 'cocoid'"),
        (lambda images: images[0].update(cocoid=[1]), "images[0]: cocoid is [1]"),
        (lambda images: images[0].update(sentences=[]), "images[0] has no caption"),
        (lambda images: images[0].update(sentences=["x"]), "images[0].sentences[0]: it is of"),
        (lambda images: images[3].update(split="dev"), "images[3]: split is 'dev'"),
        (lambda images: images[0].update(filepath=".."), "images[0]: filepath is '..'"),
        (lambda images: images[0].update(filepath="a/b"), "images[0]: filepath is 'a/b'"),
        (lambda images: images[0].update(filepath="test2014"), "folder of media 'test2014'"),
        (lambda images: images.clear(), "its training set has no examples"),
        (lambda images: images.pop(0) and images.pop(4), "has no image of the split 'test'"),
        (lambda images: images.insert(2, None), "images[2]: it is of type NoneType"),
    ],
)
def test_a_broken_file_is_told_in_one_line(
    tmp_path: Path, change: Callable[[list[Any]], object], said: str
) -> None:
    path = miniatures.coco(tmp_path)
    _change(path / "dataset_coco.json", change)
    with pytest.raises(UserError) as caught:
        read_coco(str(path), "test")
    assert said in str(caught.value) and str(caught.value).startswith("coco: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["../dataset_coco.json", "/etc/hostname", "gone.jpg"])
def test_a_picture_that_is_not_there_stops_the_evaluation(tmp_path: Path, name: str) -> None:
    path = miniatures.coco(tmp_path)
    _change(path / "dataset_coco.json", lambda images: images[0].update(filename=name))
    benchmark = read_coco(str(path), "test")
    with pytest.raises(UserError, match="^coco: "):
        benchmark.query_media.read(benchmark.queries[0].medium)


def test_a_missing_picture_of_the_support_is_named(tmp_path: Path) -> None:
    path = miniatures.coco(tmp_path)
    (path / "val2014" / "COCO_val2014_000000522418.jpg").unlink()
    benchmark = read_coco(str(path), "test")
    with pytest.raises(UserError, match="coco: there is no file '.*COCO_val2014_000000522418.jpg'"):
        check_pictures(benchmark)
