"""Tables in CSV: quoting, columns by name, and what is told of broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import csv_tables
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin

ORIGIN = Origin(name="films", where="https://films.example", layout="films.csv")


def _read(tmp_path: Path, content: str, *columns: str) -> list[dict[str, str]]:
    (tmp_path / "films.csv").write_bytes(content.encode())
    here = BenchmarkFolder(ORIGIN, str(tmp_path))
    return [dict(row) for _, row in csv_tables.read_rows(here, "films.csv", columns)]


def test_quoted_fields_have_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    content = 'id,text\r\n1,"a, ""b""\r\nc"\r\n\r\n2, d \r\n3,\r\n'
    assert _read(tmp_path, content, "id", "text") == [
        {"id": "1", "text": 'a, "b"\r\nc'}, {"id": "2", "text": "d"}, {"id": "3", "text": ""},
    ]  # fmt: skip


def test_columns_go_by_their_names(tmp_path: Path) -> None:
    content = "\ufefftext,more,id\na,x,1\n"
    assert _read(tmp_path, content, "id", "text") == [{"id": "1", "text": "a", "more": "x"}]


@pytest.mark.parametrize("content", ["text,name\na,b\n", ""])
def test_a_missing_column_is_told(tmp_path: Path, content: str) -> None:
    with pytest.raises(UserError, match=r"films: '.*/films.csv' has no column 'id'; its columns"):
        _read(tmp_path, content, "id", "text")


@pytest.mark.parametrize("row", ["2", "2,b,c"])
def test_rows_of_another_length_are_told_with_their_line(tmp_path: Path, row: str) -> None:
    with pytest.raises(UserError, match=r"films.csv' line 3 does not have one field for each of"):
        _read(tmp_path, f"id,text\n1,a\n{row}\n", "id", "text")


@pytest.mark.parametrize("row", ['2,"b', '2,"b"c'])
def test_quotes_that_do_not_match_are_told(tmp_path: Path, row: str) -> None:
    with pytest.raises(UserError, match=r"films.csv' line \d is no row of a table"):
        _read(tmp_path, f"id,text\n1,a\n{row}\n3,d\n", "id", "text")


@pytest.mark.parametrize("text", ["", "-1", "1e3", "nan", "1_0", "٣", "0x1", "1.", "9" * 20])
def test_what_is_no_number_is_told(text: str) -> None:
    assert csv_tables.number({"start": "10.25"}, "start", "line 7") == 10.25
    with pytest.raises(UserError, match=r"line 7: start is .*; expected a number, 0 or more"):
        csv_tables.number({"start": text}, "start", "line 7")


@pytest.mark.parametrize("text", ["5", "1.5"])
def test_what_is_no_whole_number_in_range_is_told(text: str) -> None:
    assert csv_tables.whole_number({"class_id": "4.0"}, "class_id", 5, "line 7") == 4
    with pytest.raises(UserError, match="line 7: class_id is .*; expected a whole number from 0"):
        csv_tables.whole_number({"class_id": text}, "class_id", 5, "line 7")


def test_an_empty_name_is_told() -> None:
    with pytest.raises(UserError, match="line 7: video is empty"):
        csv_tables.identifier({"video": ""}, "video", "line 7")
