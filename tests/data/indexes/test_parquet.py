"""Rows of parquet files by number, with few row groups in memory."""

from __future__ import annotations

import collections
import concurrent.futures
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet as arrow_parquet

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.indexes import parquet, row_groups
from flamingo_jax.data.indexes.parquet import Columns, ParquetIndex

COLUMNS = Columns(required={"texts": parquet.STRINGS}, optional={"data": parquet.BYTES})


def _write(path: Path, rows: Sequence[int], row_group_size: int = 3, **columns: Any) -> None:
    texts = [[f"row {n}", None] for n in rows]
    # A name that begins as another one must not be read in its place.
    table = pyarrow.table({"texts_of_others": texts[::-1], "texts": texts, **columns})
    arrow_parquet.write_table(table, path, row_group_size=row_group_size)


def _open(folder: Path, *names: str) -> ParquetIndex:
    paths = [str(folder / name) for name in names]
    return parquet.open_parquet_index(paths, str(folder / "indexes"), "config.paths", COLUMNS)


@pytest.fixture
def index(tmp_path: Path) -> ParquetIndex:
    """17 rows in two files, of row groups of 3, 3, 3, 1 and of 3, 3, 1 rows."""
    _write(tmp_path / "0.parquet", range(10))
    _write(tmp_path / "1.parquet", range(10, 17), data=[[b"x", None]] * 7)
    return _open(tmp_path, "0.parquet", "1.parquet")


def test_rows_in_any_order(index: ParquetIndex) -> None:
    assert index.num_rows == 17
    assert index.has_optional
    for number in (16, 0, 9, 10, 5, 0, 16):
        data = None if number < 10 else [b"x", None]
        assert index.read(number) == {"texts": [f"row {number}", None], "data": data}
    assert index.name(9) == "0.parquet: row 9"
    assert index.name(10) == "1.parquet: row 0"
    assert index.name(16) == "1.parquet: row 6"
    for number in (-1, 17):
        with pytest.raises(IndexError):
            index.read(number)


def test_each_row_group_is_read_once_even_by_many_threads(
    index: ParquetIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, loaded = row_groups.load, collections.Counter[row_groups.RowGroup]()

    def counted(group: row_groups.RowGroup) -> Any:
        loaded[group] += 1
        return load(group)

    monkeypatch.setattr(row_groups, "load", counted)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        rows = list(threads.map(index.read, list(range(17)) * 5))
    assert [row["texts"][0] for row in rows] == [f"row {n}" for n in range(17)] * 5
    assert len(loaded) == 7
    assert set(loaded.values()) == {1}


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "0.parquet"
    _write(path, range(21))
    groups = [row_groups.RowGroup(path=str(path), number=n, columns=("texts",)) for n in range(7)]
    size = row_groups.load(groups[0]).nbytes
    kept = row_groups.RowGroups(max_bytes=3 * size)
    loaded = []
    load = row_groups.load
    monkeypatch.setattr(row_groups, "load", lambda group: loaded.append(group) or load(group))
    for number in (0, 1, 0, 1):
        kept.get(groups[number])
    assert loaded == groups[:2]
    for number in (2, 3, 4, 5, 6):
        kept.get(groups[number])
        assert sum(kept._num_bytes.values()) <= 3 * size
    kept.get(groups[0])
    assert loaded[-1] == groups[0]
    # The one that was asked for last stays, not the one that was read last.
    recent = row_groups.RowGroups(max_bytes=2 * size)
    loaded.clear()
    for number in (0, 1, 0, 2, 0):
        recent.get(groups[number])
    assert loaded == groups[:3]
    # One larger than all the room is given, and not kept together with others.
    crowded = row_groups.RowGroups(max_bytes=1)
    for group in groups[:3]:
        assert crowded.get(group).num_rows == 3
        assert len(crowded._num_bytes) == 1


def test_a_failed_read_is_a_bad_sample_and_is_tried_again(
    index: ParquetIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = row_groups.load

    def broken(group: row_groups.RowGroup) -> Any:
        raise pyarrow.ArrowInvalid("torn page")

    monkeypatch.setattr(row_groups, "load", broken)
    with pytest.raises(BadSample, match=r"^0\.parquet: row 4: broken_record .*torn page"):
        index.read(4)
    monkeypatch.setattr(row_groups, "load", load)
    assert index.read(4)["texts"][0] == "row 4"

    def no_room(group: row_groups.RowGroup) -> Any:
        raise pyarrow.ArrowMemoryError("full")

    monkeypatch.setattr(row_groups, "load", no_room)
    with pytest.raises(MemoryError):
        index.read(16)


def test_damaged_and_deleted_files_are_bad_samples(tmp_path: Path) -> None:
    _write(tmp_path / "0.parquet", range(6))
    _write(tmp_path / "1.parquet", range(6))
    index = _open(tmp_path, "0.parquet", "1.parquet")
    content = bytearray((tmp_path / "0.parquet").read_bytes())
    content[4 : len(content) // 2] = bytes(len(content) // 2 - 4)
    (tmp_path / "0.parquet").write_bytes(content)
    (tmp_path / "1.parquet").unlink()
    with pytest.raises(BadSample) as caught:
        index.read(0)
    assert caught.value.reason is Reason.BROKEN_RECORD
    with pytest.raises(BadSample) as caught:
        index.read(6)
    assert caught.value.reason is Reason.MISSING_SHARD


def test_missing_and_truncated_files_are_problems(tmp_path: Path) -> None:
    _write(tmp_path / "0.parquet", range(6))
    whole = (tmp_path / "0.parquet").read_bytes()
    (tmp_path / "1.parquet").write_bytes(whole[:-20])
    (tmp_path / "2.parquet").write_bytes(b"")
    index = _open(tmp_path, *(f"{n}.parquet" for n in range(4)))
    assert index.num_rows == 6
    assert {(bad.name, bad.reason) for bad in index.problems} == {
        ("1.parquet", Reason.TRUNCATED_SHARD),
        ("2.parquet", Reason.TRUNCATED_SHARD),
        ("3.parquet", Reason.MISSING_SHARD),
    }
    # What the index remembers says the same.
    again = _open(tmp_path, *(f"{n}.parquet" for n in range(4)))
    assert list(map(str, again.problems)) == list(map(str, index.problems))


def test_other_columns_are_named(tmp_path: Path) -> None:
    arrow_parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "0.parquet")
    with pytest.raises(UserError, match=r"config\.paths: .*0\.parquet' has no column 'texts'"):
        _open(tmp_path, "0.parquet")
    arrow_parquet.write_table(pyarrow.table({"texts": ["a"]}), tmp_path / "1.parquet")
    with pytest.raises(UserError, match=r"'texts' of .* holds string: expected lists of strings"):
        _open(tmp_path, "1.parquet")


def test_large_types_and_columns_of_nulls(tmp_path: Path) -> None:
    large = pyarrow.large_list(pyarrow.large_string())
    nulls = pyarrow.array([[None, None]], pyarrow.list_(pyarrow.null()))
    table = pyarrow.table({"texts": pyarrow.array([["a", None]], large), "data": nulls})
    arrow_parquet.write_table(table, tmp_path / "0.parquet")
    row = _open(tmp_path, "0.parquet").read(0)
    assert row == {"texts": ["a", None], "data": [None, None]}
