"""COCO's captions with pictures out of a folder or tar shards."""

from __future__ import annotations

import concurrent.futures
import json
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.sources import catalog
from flamingo_jax.data.sources.source import Content, Source
from tests.data.sources import page_datasets
from tests.data.sources.page_datasets import pictures, reason, write_files, write_tar

IMAGES = [{"id": 9, "file_name": "9.jpg"}, {"id": 4, "file_name": "sub/4.jpg"}]
PICTURES = {"9.jpg": b"nine", "sub/4.jpg": b"four", "empty.jpg": b""}
REPOSITORY = Path(__file__).resolve().parents[3]
ANNOTATIONS = [
    {"id": 100, "image_id": 4, "caption": " A four. \n"},
    {"id": 101, "image_id": 9, "caption": "A nine."},
    {"id": 102, "image_id": 4, "caption": "Still four: vier, vär."},
]


def _open(folder: Path, *paths: str, images: str = "pictures") -> Source:
    dataset = page_datasets.dataset("pairs/coco_captions", folder, paths, images=images)
    return catalog.open_source(dataset, "contrastive")


def _source_of(folder: Path, images: list[Any], annotations: list[Any]) -> Source:
    write_files(folder / "pictures", PICTURES)
    content = {"info": {}, "images": images, "annotations": annotations}
    (folder / "captions_a.json").write_text(json.dumps(content))
    return _open(folder, "captions_a.json")


def _pairs(source: Source) -> list[tuple[str, bytes]]:
    assert source.num_examples is not None
    examples = [source.read(n) for n in range(source.num_examples)]
    return [(example.chunks[1], *pictures(example)) for example in examples]


def test_an_example_is_a_caption_joined_with_its_picture_by_id(tmp_path: Path) -> None:
    source = _source_of(tmp_path, IMAGES, ANNOTATIONS)
    expected = [("A four.", b"four"), ("A nine.", b"nine"), ("Still four: vier, vär.", b"four")]
    assert _pairs(source) == expected
    assert source.content is Content.PAIR
    example = source.read(1)
    assert example.chunks == ("", "A nine.")
    name = "captions_a.json: annotations[1]: 9.jpg"
    assert example.media == (EncodedImage(data=b"nine", name=name),)
    assert _pairs(_source_of(tmp_path, IMAGES[::-1], ANNOTATIONS)) == expected


def test_several_files_and_pictures_in_tar_shards(tmp_path: Path) -> None:
    other = {"images": [{"id": "x", "file_name": "9.jpg"}]}
    other["annotations"] = [{"image_id": "x", "caption": "Of the second file."}]
    (tmp_path / "captions_b.json").write_text(json.dumps(other))
    _source_of(tmp_path, IMAGES, ANNOTATIONS)
    write_tar(tmp_path / "0.tar", {"9.jpg": b"tar nine"})
    write_tar(tmp_path / "1.tar", {"sub/4.jpg": b"tar four"})
    source = _open(tmp_path, "captions_*.json", images="{0..1}.tar")
    assert [picture for _, picture in _pairs(source)] == [
        b"tar four", b"tar nine", b"tar four", b"tar nine",
    ]  # fmt: skip
    assert source.read(3).chunks == ("", "Of the second file.")


@pytest.mark.parametrize(
    ("image", "annotation", "expected", "words"),
    [
        ({}, {"image_id": 7}, Reason.BROKEN_RECORD, r"a.json: annotations\[0\].*has the id 7"),
        ({}, {"image_id": "1"}, Reason.BROKEN_RECORD, "has the id '1'"),
        ({}, {"caption": " \n"}, Reason.EMPTY_TEXT, r"annotations\[0\]"),
        ({}, {"caption": "\ud800"}, Reason.NOT_UTF8, r"annotations\[0\]"),
        ({"file_name": "no.jpg"}, {}, Reason.MISSING_MEDIA, "there is no 'no.jpg' in '.*pictures'"),
        ({"file_name": "empty.jpg"}, {}, Reason.EMPTY_FILE, "empty.jpg"),
        ({"file_name": "../captions_a.json"}, {}, Reason.UNSAFE_NAME, "captions_a.json"),
        ({"file_name": "/etc/passwd"}, {}, Reason.UNSAFE_NAME, "passwd"),
    ],
)
def test_captions_that_cannot_be_used(
    tmp_path: Path, image: dict[str, Any], annotation: dict[str, Any], expected: Reason, words: str
) -> None:
    first = {"image_id": 1, "caption": "One."} | annotation
    images = [{"id": 1, "file_name": "9.jpg"} | image, *IMAGES]
    source = _source_of(tmp_path, images, [first, *ANNOTATIONS])
    assert reason(source, 0) == expected.value
    with pytest.raises(BadSample, match=words):
        source.read(0)
    assert source.read(1).chunks == ("", "A four.")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"images": [', r"config.data\[mine\].paths: '.*a.json' is not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100000, "not JSON"),
        (b"[]", "holds a list"),
        (b'{"images": [], "questions": []}', "no list 'annotations', only 'images', 'questions'"),
        (b'{"annotations": []}', "no list 'images'"),
        (b'{"images": [], "annotations": []}', "no annotation in"),
        (b'{"images": [{"id": 1}], "annotations": []}', r"images\[0\] has no text 'file_name'"),
        (b'{"images": [{"file_name": "a"}], "annotations": []}', r"images\[0\] has no 'id'"),
        (b'{"images": [], "annotations": [{"image_id": 1}]}', r"\[0\] has no text 'caption'"),
        (b'{"images": [], "annotations": [{"caption": "a"}]}', r"\[0\] has no 'image_id'"),
        (
            b'{"images": [{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}],'
            b' "annotations": []}',
            "two images have the id 1",
        ),
    ],
)
def test_files_that_are_no_captions(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=words):
        _open(tmp_path, "a.json")


def test_places_that_are_not_there(tmp_path: Path) -> None:
    _source_of(tmp_path, IMAGES, ANNOTATIONS)
    with pytest.raises(UserError, match=r"data\[mine\].paths: cannot read '.*b.json'"):
        _open(tmp_path, "b.json")
    for images in ("", "elsewhere"):
        with pytest.raises(UserError, match=r"config.data\[mine\].options.images"):
            _open(tmp_path, "captions_a.json", images=images)


def test_threads_read_what_one_reads(tmp_path: Path) -> None:
    annotations = [
        {"image_id": (9, 4)[n % 2], "caption": f"Caption {n}." * (n % 7 + 1)} for n in range(100)
    ]
    source = _source_of(tmp_path, IMAGES, annotations)
    one_by_one = [source.read(n) for n in range(100)]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert list(threads.map(source.read, list(range(100)) * 5)) == one_by_one * 5


def test_files_as_coco_publishes_them() -> None:
    folder = REPOSITORY.parent / "shared/coco-mini"
    if not folder.exists():
        pytest.skip(f"there is no {folder}: a small part of COCO in its own layout")
    source = _open(folder, "annotations/captions_train2017.json", images="train2017")
    content = json.loads((folder / "annotations/captions_train2017.json").read_text())
    names = {image["id"]: image["file_name"] for image in content["images"]}
    assert source.num_examples == len(content["annotations"])
    for n, annotation in enumerate(content["annotations"]):
        example = source.read(n)
        assert example.chunks == ("", annotation["caption"].strip())
        assert pictures(example) == [
            (folder / "train2017" / names[annotation["image_id"]]).read_bytes()
        ]
