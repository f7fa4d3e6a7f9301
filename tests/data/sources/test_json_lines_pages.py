"""Pages as lines of JSON with pictures as files."""

from __future__ import annotations

import concurrent.futures
import json
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.sources import catalog
from flamingo_jax.data.sources.source import Content, Source
from tests.data.sources import page_datasets
from tests.data.sources.page_datasets import pictures, reason, write_files, write_lines, write_tar

NAME = "pages/json_lines"
PAGE = [{"text": "A cat."}, {"image": "cat.jpg"}, {"text": "It"}, {"text": "sleeps."}]


def _open(folder: Path, *paths: str, **options: Any) -> Source:
    return catalog.open_source(page_datasets.dataset(NAME, folder, paths, **options), "flamingo")


def _source_of(folder: Path, *records: Any) -> Source:
    write_files(folder, {"cat.jpg": b"cat", "dogs/1.png": b"dog", "empty.jpg": b""})
    write_lines(folder / "pages.jsonl", records)
    return _open(folder, "pages.jsonl")


def test_pages_in_reading_order(tmp_path: Path) -> None:
    objects = {"content": [{"image": "dogs/1.png"}, {"text": "STOP"}], "text_in_images": True}
    source = _source_of(tmp_path, PAGE, objects)
    assert source.name == NAME
    assert source.content is Content.PAGE
    assert source.num_examples == 2
    assert source.media_shape == (1, 16, 16)
    page = source.read(0)
    assert page.chunks == ("A cat.", "It\nsleeps.")
    assert pictures(page) == [b"cat"]
    assert page.media[0].name == "pages.jsonl: line 1: cat.jpg"
    assert not page.text_in_images
    page = source.read(1)
    assert page.chunks == ("", "STOP")
    assert pictures(page) == [b"dog"]
    assert page.text_in_images
    assert source.read(0) == source.read(0)


def test_a_missing_picture_takes_its_position_along_and_nothing_else(tmp_path: Path) -> None:
    content = [
        {"text": "one"},
        {"image": "gone.jpg"},
        {"text": "two"},
        {"image": "cat.jpg"},
        {"image": "empty.jpg"},
        {"text": "three"},
    ]
    page = _source_of(tmp_path, content).read(0)
    assert page.chunks == ("one\ntwo", "three")
    assert pictures(page) == [b"cat"]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ([], "no_image"),
        ([{"text": "one"}], "no_image"),
        ([{"image": "gone.jpg"}, {"text": "one"}], "no_image"),
        ([{"text": "one"}, {"image": "cat.jpg"}], "no_text_after_image"),
        ([{"image": "../cat.jpg"}, {"text": "one"}], "unsafe_name"),
        ([{"image": "/cat.jpg"}, {"text": "one"}], "unsafe_name"),
        ([{"image": "cat.jpg", "text": "one"}], "broken_record"),
        ([{"caption": "one"}], "broken_record"),
        ([{"image": None}, {"text": "one"}], "broken_record"),
        ([{"image": "cat.jpg"}, {"text": 1}], "broken_record"),
        (["cat.jpg"], "broken_record"),
        ("cat.jpg", "broken_record"),
        ({"pages": PAGE}, "broken_record"),
        ({"content": PAGE, "text_in_images": 1}, "broken_record"),
    ],
)
def test_what_is_refused(tmp_path: Path, record: Any, expected: str) -> None:
    assert reason(_source_of(tmp_path, PAGE, record), 1) == expected


def test_broken_lines_are_named_and_the_others_stay(tmp_path: Path) -> None:
    write_files(tmp_path, {"cat.jpg": b"cat"})
    page = json.dumps(PAGE).encode()
    lines = [page, b"", b'["\xff"]', b"[1,", page]
    (tmp_path / "pages.jsonl").write_bytes(b"\n".join(lines))
    source = _open(tmp_path, "pages.jsonl")
    assert source.num_examples == 4
    with pytest.raises(BadSample, match=r"^pages\.jsonl: line 3: not_utf8"):
        source.read(1)
    with pytest.raises(BadSample, match=r"^pages\.jsonl: line 4: broken_record"):
        source.read(2)
    assert source.read(3).chunks == source.read(0).chunks


def test_pictures_lie_beside_their_own_file(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_files(tmp_path / folder, {"cat.jpg": folder.encode()})
        write_lines(tmp_path / folder / "pages.jsonl", [PAGE])
    source = _open(tmp_path, "{a,b}/pages.jsonl")
    assert [pictures(source.read(number)) for number in (1, 0)] == [[b"b"], [b"a"]]


@pytest.mark.parametrize("images", ["pictures", "shards/*.tar"])
def test_pictures_in_a_store(tmp_path: Path, images: str) -> None:
    write_files(tmp_path, {"cat.jpg": b"not this", "pictures/cat.jpg": b"cat"})
    write_tar(tmp_path / "shards/0.tar", {"cat.jpg": b"cat"})
    write_lines(tmp_path / "pages.jsonl", [PAGE])
    assert pictures(_open(tmp_path, "pages.jsonl", images=images).read(0)) == [b"cat"]


def test_fields_of_other_names(tmp_path: Path) -> None:
    write_files(tmp_path, {"cat.jpg": b"cat"})
    write_lines(tmp_path / "pages.jsonl", [[{"file": "cat.jpg"}, {"caption": "A cat."}]])
    source = _open(tmp_path, "pages.jsonl", image_field="file", text_field="caption")
    assert source.read(0).chunks == ("", "A cat.")


def test_half_surrogates_and_nul_do_not_reach_the_page(tmp_path: Path) -> None:
    write_files(tmp_path, {"cat.jpg": b"cat"})
    line = '[{"image": "cat.jpg"}, {"text": "a\\u0000\\ud800 \\ud83d\\ude00"}]'
    (tmp_path / "pages.jsonl").write_text(line)
    assert _open(tmp_path, "pages.jsonl").read(0).chunks == ("", "a\ufffd \U0001f600")


def test_missing_files_are_problems(tmp_path: Path) -> None:
    write_files(tmp_path, {"cat.jpg": b"cat"})
    for number in (0, 2):
        write_lines(tmp_path / f"{number}.jsonl", [PAGE])
    source = _open(tmp_path, "{0..2}.jsonl")
    assert [bad.reason for bad in source.problems] == [Reason.MISSING_SHARD]
    assert source.num_examples == 2
    with pytest.raises(UserError, match=r"config\.data\[mine\]\.paths: .* missing"):
        _open(tmp_path, "{0..7}.jsonl")
    with pytest.raises(UserError, match=r"config\.data\[mine\]\.options\.images is 'nowhere'"):
        _open(tmp_path, "0.jsonl", images="nowhere")


def test_threads_read_the_same(tmp_path: Path) -> None:
    records = [[{"image": "cat.jpg"}, {"text": f"page {n}"}] for n in range(100)]
    source = _source_of(tmp_path, *records)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        pages = list(threads.map(source.read, [*range(100), *reversed(range(100))]))
    expected = [("", f"page {n}") for n in range(100)]
    assert [page.chunks for page in pages] == expected + expected[::-1]
