"""OBELICS as tar shards with pictures, and as parquet files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.sources import catalog, obelics
from flamingo_jax.data.sources.source import Content, Source
from tests.data.sources import page_datasets
from tests.data.sources.page_datasets import pictures, reason, write_files, write_tar

NAME = "pages/obelics"
A, B, GONE = "http://example.com/a.png", "http://example.com/b?x=1", "http://example.com/gone"
# Position 1 and 4 have pictures, 2 one that was not fetched.
TEXTS = ["one", None, None, "two\n\nthree", None, "four"]
IMAGES = [None, A, GONE, None, B, None]
CHUNKS = ("one", "two\n\nthree", "four")


def _open(folder: Path, *paths: str, **options: Any) -> Source:
    return catalog.open_source(page_datasets.dataset(NAME, folder, paths, **options), "flamingo")


def _members(key: str, record: Any, files: Mapping[str, bytes]) -> dict[str, bytes]:
    found = {f"{key}.json": json.dumps(record).encode()}
    return found | {f"{key}.{suffix}": content for suffix, content in files.items()}


def _write_parquet(path: Path, rows: Sequence[tuple[Any, Any]], **columns: Any) -> None:
    kind = pyarrow.list_(pyarrow.string())
    table = {
        "images": pyarrow.array([images for _, images in rows], kind),
        "metadata": ["[]"] * len(rows),
        "general_metadata": ["{}"] * len(rows),
        "texts": pyarrow.array([texts for texts, _ in rows], kind),
    }
    parquet.write_table(pyarrow.table({**table, **columns}), path, row_group_size=2)


def test_tar_shards(tmp_path: Path) -> None:
    record = {"texts": TEXTS, "images": IMAGES, "general_metadata": {"url": "x"}}
    signs = {"texts": [None, "STOP"], "images": [A, None], "text_in_images": True}
    many = {
        "texts": [None, "zero"] * 6,
        "images": [A, None] * 6,
    }
    files = {f"{position}.jpg": b"%d" % position for position in (10, 8, 6, 4, 2, 0)}
    members = _members("000000", record, {"1.jpg": b"a", "4.png": b"b"})
    members |= _members("000001", signs, {"0.JPG": b"a"})
    members |= _members("000002", many, files)
    write_tar(tmp_path / "00000.tar", members)
    source = _open(tmp_path, "*.tar")
    assert source.name == NAME
    assert source.content is Content.PAGE
    assert source.num_examples == 3
    assert source.media_shape == (1, 16, 16)
    page = source.read(0)
    assert page.chunks == CHUNKS
    assert pictures(page) == [b"a", b"b"]
    assert not page.text_in_images
    assert source.read(1).text_in_images
    assert pictures(source.read(1)) == [b"a"]
    assert pictures(source.read(2)) == [b"0", b"2", b"4", b"6", b"8", b"10"]


def test_pictures_whose_name_is_no_position_are_not_taken(tmp_path: Path) -> None:
    record = {"texts": [None, None, "one"], "images": [A, B, None]}
    others = {"00.jpg": b"x", "1.txt": b"x", "jpg": b"x", "2.jpg": b"x", "-0.jpg": b"x"}
    write_tar(tmp_path / "0.tar", _members("0", record, others))
    assert reason(_open(tmp_path, "0.tar"), 0) == "no_image"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"texts": ["one", None], "images": [None]}, "broken_record"),
        ({"texts": ["one"], "images": [A]}, "broken_record"),
        ({"texts": [None, "one"], "images": [None, None]}, "broken_record"),
        ({"texts": [1, None], "images": [None, A]}, "broken_record"),
        ({"texts": ["one"]}, "broken_record"),
        ({"texts": "one", "images": [A, A, A]}, "broken_record"),
        ([], "broken_record"),
        ({"texts": [None, "a"], "images": [A, None], "text_in_images": 0}, "broken_record"),
        ({"texts": [], "images": []}, "no_image"),
        ({"texts": ["one", None], "images": [None, GONE]}, "no_image"),
        ({"texts": ["one", "", None], "images": [None, None, A]}, "no_image"),
        ({"texts": [None, "", "\n"], "images": [A, None, None]}, "no_text_after_image"),
    ],
)
def test_what_is_refused(tmp_path: Path, record: Any, expected: str) -> None:
    write_tar(tmp_path / "0.tar", _members("page", record, {"0.jpg": b"a"}))
    assert reason(_open(tmp_path, "0.tar"), 0) == expected


def test_a_sample_without_its_record(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {"000000.0.jpg": b"a"})
    with pytest.raises(BadSample, match=r"^0\.tar: 000000: broken_record"):
        _open(tmp_path, "0.tar").read(0)


def test_missing_shards_are_problems(tmp_path: Path) -> None:
    record = {"texts": TEXTS, "images": IMAGES}
    for number in (0, 2):
        write_tar(tmp_path / f"{number}.tar", _members("0", record, {"1.jpg": b"a"}))
    source = _open(tmp_path, "{0..2}.tar")
    assert [bad.reason for bad in source.problems] == [Reason.MISSING_SHARD]
    assert source.num_examples == 2


@pytest.mark.parametrize("images", ["pictures", "shards/*.tar"])
def test_parquet_with_a_store(tmp_path: Path, images: str) -> None:
    files = {obelics.image_name(A): b"a", obelics.image_name(B): b"b"}
    write_files(tmp_path / "pictures", files)
    write_tar(tmp_path / "shards/0.tar", files)
    rows = [(TEXTS, IMAGES), ([None, "x"], [B, None]), (None, None), ([None, "x"], [GONE, None])]
    _write_parquet(tmp_path / "train-00000.parquet", rows)
    source = _open(tmp_path, "train-*.parquet", images=images)
    assert source.num_examples == 4
    page = source.read(0)
    assert page.chunks == CHUNKS
    assert pictures(page) == [b"a", b"b"]
    assert page.media[1].name == "train-00000.parquet: row 0: image 4"
    assert pictures(source.read(1)) == [b"b"]
    assert [reason(source, n) for n in (2, 3)] == ["broken_record", "no_image"]


def test_names_of_pictures_are_half_a_digest() -> None:
    name = obelics.image_name(A)
    assert name == hashlib.sha256(A.encode()).hexdigest()[:32] + ".jpg"
    assert obelics.image_name("http://ä") != obelics.image_name("http://a")


def test_parquet_with_its_own_pictures(tmp_path: Path) -> None:
    cells = [None, b"a", None, None, b"b", None]
    kind = pyarrow.list_(pyarrow.binary())
    _write_parquet(
        tmp_path / "0.parquet",
        [(TEXTS, IMAGES)] * 3,
        images_bytes=pyarrow.array([cells, cells[:2], None], kind),
    )
    source = _open(tmp_path, "0.parquet")
    page = source.read(0)
    assert page.chunks == CHUNKS
    assert pictures(page) == [b"a", b"b"]
    assert [reason(source, n) for n in (1, 2)] == ["broken_record", "no_image"]
    # What the column lacks may lie in a store.
    write_files(tmp_path / "pictures", {obelics.image_name(GONE): b"found"})
    page = _open(tmp_path, "0.parquet", images="pictures").read(0)
    assert pictures(page) == [b"a", b"found", b"b"]


@pytest.mark.parametrize(
    ("paths", "options", "message"),
    [
        (["0.parquet"], {}, r"config\.data\[mine\]\.options\.images is empty"),
        (["0.parquet"], {"images": "nowhere"}, r"\.options\.images is 'nowhere'"),
        (["0.tar"], {"images": "."}, r"\.options\.images is '\.': expected nothing"),
        (["0.tar", "0.parquet"], {}, r"\.paths has .*0\.tar': expected files that all end with"),
        (["pages.jsonl"], {}, r"\.paths has .*pages\.jsonl': expected files that all end with"),
        (["other.parquet"], {"images": "."}, r"\.paths: .*other\.parquet' has no column 'texts'"),
        (["empty.parquet"], {"images": "."}, r"\.paths: the files have no page"),
    ],
)
def test_configs_that_do_not_fit(
    tmp_path: Path, paths: list[str], options: dict[str, Any], message: str
) -> None:
    write_tar(tmp_path / "0.tar", _members("0", {"texts": [], "images": []}, {}))
    _write_parquet(tmp_path / "0.parquet", [(TEXTS, IMAGES)])
    _write_parquet(tmp_path / "empty.parquet", [])
    parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(UserError, match=message):
        _open(tmp_path, *paths, **options)
