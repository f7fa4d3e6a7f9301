"""Annotation files: what is missing or broken is said in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin

ORIGIN = Origin(name="walls", where="https://walls.example", layout="walls.json, pictures/")


def _folder(tmp_path: Path, **contents: bytes) -> BenchmarkFolder:
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return BenchmarkFolder(ORIGIN, str(tmp_path))


def test_files_are_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    here = _folder(tmp_path, a=b'{"x": "\xc3\xa4"}', b=b'\xef\xbb\xbf{"x": 1}')
    assert here.read_json("a") == {"x": "ä"}
    assert here.read_json("b") == {"x": 1}


def test_objects_are_reduced_from_the_inside(tmp_path: Path) -> None:
    here = _folder(tmp_path, a=b'{"list": [{"drop": 1, "keep": 2}]}')

    def reduce(value: dict[str, Any]) -> Any:
        return value.get("keep", value)

    assert here.read_json("a", reduce) == {"list": [2]}


def test_lines_have_their_numbers(tmp_path: Path) -> None:
    here = _folder(tmp_path, a='{"x": "a\u2028b"}\r\n\n[1]'.encode())
    lines = here.read_json_lines("a")
    assert [value for _, value in lines] == [{"x": "a\u2028b"}, [1]]
    assert [place.rpartition(" ")[2] for place, _ in lines] == ["1", "3"]


def test_a_missing_folder_or_file_is_told_with_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UserError) as no_folder:
        BenchmarkFolder(ORIGIN, str(tmp_path / "walls"))
    here = _folder(tmp_path, there=b"{}")
    with pytest.raises(UserError) as no_file:
        here.read_json("walls.json")
    with pytest.raises(UserError, match="no file 'b' or 'c'"):
        here.first("b", "c")
    assert here.first("b", "there", "c") == "there"
    for caught, what in ((no_folder, "no folder"), (no_file, "no file 'walls.json'")):
        said = str(caught.value)
        assert said.startswith("walls: ") and what in said and str(tmp_path) in said
        assert "https://walls.example" in said and "walls.json, pictures/" in said
        assert "\n" not in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not JSON"),
        (b'{"x": 1', "is not JSON"),
        (b'{"x": "\xff"}', "is not UTF-8"),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_broken_file_is_told_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    here = _folder(tmp_path, broken=content)
    with pytest.raises(UserError, match=f"walls: '.*/broken' {said}") as caught:
        here.read_json("broken")
    assert "\n" not in str(caught.value)


def test_a_broken_line_is_told_with_its_number(tmp_path: Path) -> None:
    here = _folder(tmp_path, a=b"{}\n{\n")
    with pytest.raises(UserError, match="/a' line 2 is not JSON"):
        here.read_json_lines("a")


def test_a_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(UserError, match="/a' cannot be read"):
        _folder(tmp_path).read_json("a")
