"""Files of datasets: patterns, parts of files, writing, and names that lead out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from tests.data.buckets import bucket_in

FIELD = "config.data[a].paths"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.tar", ["a.tar"]),
        ("{0008..0011}.tar", ["0008.tar", "0009.tar", "0010.tar", "0011.tar"]),
        ("{8..11}.tar", ["8.tar", "9.tar", "10.tar", "11.tar"]),
        ("{0..1}/{00..01}", ["0/00", "0/01", "1/00", "1/01"]),
        ("{train,val}.tar", ["train.tar", "val.tar"]),
        ("x{a,b{1..2},}y", ["xay", "xb1y", "xb2y", "xy"]),
        ("{7..7}", ["7"]),
    ],
)
def test_braces(pattern: str, expected: list[str]) -> None:
    assert files.expand([pattern], "", FIELD) == tuple(expected)
    assert files.expand([pattern], "/data", FIELD) == tuple(f"/data/{name}" for name in expected)
    assert files.expand([pattern], "gs://bucket/x/", FIELD) == tuple(
        f"gs://bucket/x/{name}" for name in expected
    )


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        ([], "is empty"),
        ([""], "empty path"),
        (["a{0..1"], "not closed"),
        (["a0..1}"], "not opened"),
        (["{a}"], "neither a range"),
        (["{}"], "neither a range"),
        (["{a..c}"], "neither a range"),
        (["{0009..0003}"], "backwards"),
        (["{0..99999999999}"], "more than"),
        (["{0..9999}{0..9999}"], "more than"),
        (["{0..2}.tar", "1.tar"], "named twice"),
        (["{a,a}"], "named twice"),
        (["*.tar"], "no file matches '*.tar'"),
    ],
)
def test_patterns_that_mean_nothing(tmp_path: Path, patterns: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words.replace("*", r"\*")) as raised:
        files.expand(patterns, str(tmp_path), FIELD)
    assert str(raised.value).startswith(FIELD)


def test_wildcards_are_sorted_and_the_folder_is_no_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "odd[1]{x}"
    (folder / "b").mkdir(parents=True)
    for name in ("3.tar", "1.tar", "2.txt", "b/4.tar", "x[1].tar"):
        (folder / name).touch()
    expected = [f"{folder}/{name}" for name in ("1.tar", "3.tar", "x[1].tar")]
    assert files.expand(["*.tar"], str(folder), FIELD) == tuple(expected)
    assert files.expand(["x[1].tar"], str(folder), FIELD) == (f"{folder}/x[1].tar",)
    assert files.expand(["{1,b/4}.*"], str(folder), FIELD) == (
        f"{folder}/1.tar",
        f"{folder}/b/4.tar",
    )
    assert f"{folder}/b/4.tar" in files.expand(["**/*.tar"], str(folder), FIELD)


def test_absolute_paths_and_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.tar").touch()
    paths = ["/x/{1..2}.tar", "~/a.tar", "gs://b/c.tar"]
    expected = ("/x/1.tar", "/x/2.tar", f"{tmp_path}/a.tar", "gs://b/c.tar")
    assert files.expand(paths, "/elsewhere", FIELD) == expected
    assert files.expand(["~/*.tar"], "/elsewhere", FIELD) == (f"{tmp_path}/a.tar",)
    assert files.expand(["a.tar"], "~", FIELD) == (f"{tmp_path}/a.tar",)


@pytest.mark.parametrize(
    ("name", "is_safe"),
    [
        ("a.jpg", True),
        ("a/b..c/..d.jpg", True),
        ("./a.jpg", True),
        ("", False),
        ("/etc/passwd", False),
        ("../../x", False),
        ("a/../../x", False),
        ("a/..", False),
        ("a\\..\\x", False),
        ("a\0.jpg", False),
        ("~/x", False),
        ("gs://bucket/x", False),
        ("file:///etc/passwd", False),
    ],
)
def test_safe_names(name: str, is_safe: bool) -> None:
    assert files.is_safe_name(name) is is_safe


def test_parts_of_files(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    Path(path).write_bytes(bytes(range(100)))
    assert files.read_range(path, 10, 3) == bytes([10, 11, 12])
    assert files.read_range(path, 98, 10) == bytes([98, 99])
    assert files.read_range(path, 100, 1) == b""
    assert files.read_range(path, 5, 0) == b""
    assert files.read_bytes(path) == bytes(range(100))
    assert files.size(path) == 100
    assert files.exists(path) and not files.exists(path + "b")
    with pytest.raises(FileNotFoundError):
        files.read_range(path + "b", 0, 1)
    with pytest.raises(IsADirectoryError):
        files.size(str(tmp_path))


def test_a_file_that_took_the_name_is_read_after_forget(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    files.write_whole(path, b"old")
    assert files.read_range(path, 0, 3) == b"old"
    files.write_whole(path, b"new")
    assert files.read_range(path, 0, 3) == b"old"
    files.forget(path)
    assert files.read_range(path, 0, 3) == b"new"


def test_writing_leaves_the_old_file_or_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    files.write_whole(str(path), b"old")

    def full(*args: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="full"):
        files.write_whole(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_files_of_a_bucket(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    for name in ("1.tar", "0.tar"):
        (tmp_path / "shards" / name).write_bytes(b"0123456789")

    with bucket_in(tmp_path):
        found = files.expand(["shards/*.tar"], "gs://bucket", FIELD)
        assert found == ("gs://bucket/shards/0.tar", "gs://bucket/shards/1.tar")
        assert files.read_range(found[0], 3, 4) == b"3456"
        assert files.read_bytes(found[1]) == b"0123456789"
        assert files.size(found[0]) == 10
        assert files.exists(found[0]) and not files.exists("gs://bucket/shards/2.tar")
        assert files.is_folder("gs://bucket/shards")
        with pytest.raises(FileNotFoundError):
            files.read_range("gs://bucket/shards/2.tar", 0, 1)
        with pytest.raises(IsADirectoryError):
            files.size("gs://bucket/shards")
        with pytest.raises(UserError, match="cannot list"):
            files.expand(["gs://bucket/**/*.tar"], "", FIELD)
        files.write_whole("gs://bucket/shards/new", b"content")
        assert (tmp_path / "shards/new").read_bytes() == b"content"
