"""Rows by number over several files and row groups."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.preparation.obelics.documents import Document, Documents
from tests.preparation.obelics import parquet_files


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    """Files of 5, 0 and 4 rows in groups of 2."""
    folder = tmp_path_factory.mktemp("documents")
    number = 0
    for name, count in (("a", 5), ("b", 0), ("c", 4)):
        rows = [[f"text {number + place}"] for place in range(count)]
        parquet_files.write(folder / f"{name}.parquet", rows, rows_a_group=2)
        number += count
    return Documents([str(folder / f"{name}.parquet") for name in "abc"])


@pytest.mark.parametrize("start", range(10))
def test_any_span_of_rows_can_be_read(documents: Documents, start: int) -> None:
    assert len(documents) == 9
    assert documents.files == (("a.parquet", 5), ("b.parquet", 0), ("c.parquet", 4))
    for stop in range(start, 11):
        found = [(row.number, row.texts) for row in documents.read(start, stop)]
        assert found == [(n, (f"text {n}",)) for n in range(start, min(stop, 9))]


def _read(tmp_path: Path, **columns: pa.Array) -> Document:
    lists = {
        "images": pa.array([[None]], parquet_files.STRINGS),
        "texts": pa.array([["a"]], parquet_files.STRINGS),
    }
    pq.write_table(pa.table(lists | columns), tmp_path / "a.parquet")
    (found,) = Documents([str(tmp_path / "a.parquet")]).read(0, 1)
    return found


@pytest.mark.parametrize(
    ("general", "metadata", "url"),
    [
        ({"url": "http://page/"}, None, "http://page/"),
        ({}, [None, {"document_url": "http://other/"}], "http://other/"),
        ("not json", "not json", ""),
        ([1], {"url": 1}, ""),
        (None, None, ""),
    ],
)
def test_the_page_is_named_by_either_column(
    tmp_path: Path, general: object, metadata: object, url: str
) -> None:
    texts = [None if x is None else x if isinstance(x, str) else json.dumps(x)
             for x in (general, metadata)]  # fmt: skip
    found = _read(
        tmp_path,
        general_metadata=pa.array([texts[0]], pa.string()),
        metadata=pa.array([texts[1]], pa.string()),
    )
    assert found.url == url
    assert found.problem == ""


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' + "9" * 5000 + "}"])
def test_metadata_that_cannot_be_decoded_stay_text(tmp_path: Path, text: str) -> None:
    assert _read(tmp_path, metadata=pa.array([text])).metadata == text


@pytest.mark.parametrize(
    ("images", "texts", "problem"),
    [
        ([["x"]], [["y"]], "without exactly one of image and text"),
        ([[None]], [[None]], "without exactly one of image and text"),
        ([[None, "x"]], [["y"]], "2 places of images, 1 of texts"),
        ([None], [["y"]], "no list of images"),
    ],
)
def test_what_is_no_document_is_named(
    tmp_path: Path, images: list[object], texts: list[object], problem: str
) -> None:
    found = _read(
        tmp_path,
        images=pa.array(images, parquet_files.STRINGS),
        texts=pa.array(texts, parquet_files.STRINGS),
    )
    assert problem in found.problem
    assert found.images == ()


def test_a_text_that_is_not_utf8_is_no_document(tmp_path: Path) -> None:
    assert "not UTF-8" in _read(tmp_path, texts=_not_utf8()).problem


def _not_utf8() -> pa.Array:
    value = pa.StringArray.from_buffers(
        1, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")
    )
    return pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), value)


def test_a_file_that_vanishes_is_said(tmp_path: Path) -> None:
    parquet_files.write(tmp_path / "a.parquet", [["text"]])
    documents = Documents([str(tmp_path / "a.parquet")])
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(UserError, match="cannot be read"):
        list(documents.read(0, 1))
