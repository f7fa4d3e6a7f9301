"""Pairs as lines of JSON with pictures as files."""

from __future__ import annotations

import concurrent.futures
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.sources import catalog
from flamingo_jax.data.sources.source import Content, Source
from tests.data.sources import page_datasets
from tests.data.sources.page_datasets import pictures, reason, write_files, write_lines, write_tar

PICTURES = {"cat.jpg": b"cat", "dogs/1.png": b"dog", "empty.jpg": b""}
PAIRS = [{"image": "cat.jpg", "text": " A cat. "}, {"image": "dogs/1.png", "text": "Ein Höfling."}]


def _open(folder: Path, *paths: str, **options: Any) -> Source:
    dataset = page_datasets.dataset("pairs/json_lines", folder, paths, **options)
    return catalog.open_source(dataset, "contrastive")


def _source_of(folder: Path, *records: Any, **options: Any) -> Source:
    write_files(folder, PICTURES)
    write_lines(folder / "pairs.jsonl", records)
    return _open(folder, "pairs.jsonl", **options)


def test_a_line_is_a_pair(tmp_path: Path) -> None:
    source = _source_of(tmp_path, *PAIRS)
    assert (source.content, source.num_examples) == (Content.PAIR, 2)
    example = source.read(0)
    assert example.chunks == ("", "A cat.")
    assert example.media == (EncodedImage(data=b"cat", name="pairs.jsonl: line 1: cat.jpg"),)
    assert not example.text_in_images
    assert source.read(1).chunks == ("", "Ein Höfling.")
    assert pictures(source.read(1)) == [b"dog"]


def test_names_of_fields_and_marks(tmp_path: Path) -> None:
    records = [
        {"file": "cat.jpg", "caption": "A cat.", "text": 3, "text_in_images": True},
        {"file": "cat.jpg", "caption": "A cat.", "image": None, "text_in_images": False},
    ]
    source = _source_of(tmp_path, *records, image_field="file", text_field="caption")
    assert [source.read(n).text_in_images for n in (0, 1)] == [True, False]
    assert source.read(0).chunks == ("", "A cat.")


def test_pictures_beside_each_file_or_in_one_place(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_lines(tmp_path / folder / "pairs.jsonl", PAIRS[:1])
        write_files(tmp_path / folder, {"cat.jpg": f"cat of {folder}".encode()})
    write_files(tmp_path / "pictures", {"cat.jpg": b"cat of pictures"})
    write_tar(tmp_path / "0.tar", {"cat.jpg": b"cat of tar"})
    paths = ("{a,b}/pairs.jsonl",)
    for options, expected in (
        ({}, [b"cat of a", b"cat of b"]),
        ({"images": "pictures"}, [b"cat of pictures"] * 2),
        ({"images": "*.tar"}, [b"cat of tar"] * 2),
    ):
        source = _open(tmp_path, *paths, **options)
        assert [pictures(source.read(n))[0] for n in (0, 1)] == expected


@pytest.mark.parametrize(
    ("record", "expected", "words"),
    [
        ([], Reason.BROKEN_RECORD, "line 1.*type list: expected dict"),
        ({"text": "a"}, Reason.MISSING_MEDIA, "no field 'image', which options.image_field names"),
        ({"picture": "a", "text": "a"}, Reason.MISSING_MEDIA, "its fields: 'picture', 'text'"),
        ({"image": None, "text": "a"}, Reason.MISSING_MEDIA, "no field 'image'"),
        ({"image": "cat.jpg"}, Reason.MISSING_TEXT, "no field 'text', which options.text_field"),
        ({"image": 3, "text": "a"}, Reason.BROKEN_RECORD, "field 'image' is of type int"),
        ({"image": "cat.jpg", "text": ["a"]}, Reason.BROKEN_RECORD, "'text' is of type list"),
        ({"image": "cat.jpg", "text": " \n"}, Reason.EMPTY_TEXT, "line 1"),
        ({"image": "cat.jpg", "text": "\udc00"}, Reason.NOT_UTF8, "line 1"),
        ({"image": "cow.jpg", "text": "a"}, Reason.MISSING_MEDIA, "there is no 'cow.jpg' in '/"),
        ({"image": "dogs", "text": "a"}, Reason.MISSING_MEDIA, "no 'dogs'"),
        ({"image": "empty.jpg", "text": "a"}, Reason.EMPTY_FILE, "empty.jpg"),
        ({"image": "", "text": "a"}, Reason.UNSAFE_NAME, "line 1"),
        ({"image": "../../x", "text": "a"}, Reason.UNSAFE_NAME, "line 1.*x"),
        ({"image": "/etc/passwd", "text": "a"}, Reason.UNSAFE_NAME, "passwd"),
        (
            {"image": "cat.jpg", "text": "a", "text_in_images": "yes"},
            Reason.BROKEN_RECORD,
            "text_in_images",
        ),
    ],
)
def test_lines_that_cannot_be_used(
    tmp_path: Path, record: Any, expected: Reason, words: str
) -> None:
    source = _source_of(tmp_path, record, *PAIRS)
    assert reason(source, 0) == expected.value
    with pytest.raises(BadSample, match=words) as raised:
        source.read(0)
    assert str(raised.value).startswith("pairs.jsonl: line 1: ")
    assert source.read(1).chunks == ("", "A cat.")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"image": "cat.jpg", "text": "cut', Reason.BROKEN_RECORD),
        (b'{"image": "cat.jpg", "text": "\xff"}', Reason.NOT_UTF8),
        (b"[" * 100000, Reason.BROKEN_RECORD),
        (b'{"image": "a\\u0000.jpg", "text": "a"}', Reason.UNSAFE_NAME),
    ],
)
def test_lines_that_are_no_json(tmp_path: Path, line: bytes, expected: Reason) -> None:
    write_files(tmp_path, {"pairs.jsonl": b"\n" + line + b"\n"})
    with pytest.raises(BadSample, match=r"pairs.jsonl: line 2") as raised:
        _open(tmp_path, "pairs.jsonl").read(0)
    assert raised.value.reason is expected


def test_what_is_no_dataset(tmp_path: Path) -> None:
    for paths, options, words in (
        ((), {}, "paths is empty"),
        (("nothing.jsonl",), {}, "paths: 1 of 1 files are missing, the first is '.*nothing.jsonl'"),
        (
            ("pairs.jsonl",),
            {"images": "nowhere"},
            "options.images is 'nowhere': there is no folder",
        ),
    ):
        _source_of(tmp_path, *PAIRS)
        with pytest.raises(UserError, match=rf"config.data\[mine\].{words}"):
            _open(tmp_path, *paths, **options)


def test_threads_read_what_one_reads(tmp_path: Path) -> None:
    records = [{"image": ("cat.jpg", "dogs/1.png")[n % 2], "text": f"{n}"} for n in range(100)]
    source = _source_of(tmp_path, *records)
    one_by_one = [source.read(n) for n in range(100)]
    assert [example.chunks[1] for example in one_by_one] == [str(n) for n in range(100)]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert list(threads.map(source.read, list(range(100)) * 5)) == one_by_one * 5
