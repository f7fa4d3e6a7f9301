"""Lines of text files by number."""

from __future__ import annotations

import concurrent.futures
import gzip
import os
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.indexes.lines import LineIndex, open_line_index
from tests.data.buckets import BUCKET, bucket_in

FIELD = "config.data[a].paths"


def _open(folder: Path, *names: str) -> LineIndex:
    paths = [str(folder / name) for name in names]
    return open_line_index(paths, str(folder / "indexes"), FIELD)


def _lines(index: LineIndex) -> list[bytes]:
    return [index.read(n) for n in range(index.num_lines)]


@pytest.mark.parametrize(
    ("content", "lines", "numbers"),
    [
        (b"a\nb\n", [b"a", b"b"], [1, 2]),
        (b"a\nb", [b"a", b"b"], [1, 2]),
        (b"a\r\n\r\nb\r\n", [b"a", b"b"], [1, 3]),
        (b"\n\n a b \n \t\nc\n\n", [b" a b ", b"c"], [3, 5]),
        (b"\xef\xbb\xbfa\nb\n", [b"a", b"b"], [1, 2]),
        (b"\xef\xbb\xbf\nb\xef\xbb\xbf\n", [b"b\xef\xbb\xbf"], [2]),
        ("ä\u2028b\x0bc\x85d\n".encode(), ["ä\u2028b\x0bc\x85d".encode()], [1]),
        (b"a\0\xff\n" + b"x" * 100000, [b"a\0\xff", b"x" * 100000], [1, 2]),
    ],
)
def test_lines_and_their_numbers(
    tmp_path: Path, content: bytes, lines: list[bytes], numbers: list[int]
) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    index = _open(tmp_path, "a.jsonl")
    assert _lines(index) == lines
    assert [index.name(n) for n in range(len(lines))] == [f"a.jsonl: line {n}" for n in numbers]
    for n in (-1, len(lines)):
        with pytest.raises(IndexError):
            index.read(n)


def test_lines_of_many_files_from_many_threads(tmp_path: Path) -> None:
    expected = []
    for number in range(5):
        # The file in the middle has no line.
        lines = [f"{number}:{n}".encode() * (n % 50 + 1) for n in range(0 if number == 2 else 300)]
        (tmp_path / f"{number}.txt").write_bytes(b"\n".join(lines))
        expected += lines
    index = _open(tmp_path, *(f"{number}.txt" for number in range(5)))
    assert _lines(index) == expected
    assert (index.name(299), index.name(600)) == ("0.txt: line 300", "3.txt: line 1")
    assert index.path(600) == str(tmp_path / "3.txt")
    numbers = [(7 * n) % len(expected) for n in range(5000)]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert list(threads.map(index.read, numbers)) == [expected[n] for n in numbers]


def test_an_index_is_made_once_and_again_when_the_file_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_bytes(b"a\nb\n")
    _open(tmp_path, "a.txt")
    with monkeypatch.context() as patch:
        patch.setattr("flamingo_jax.data.indexes.lines.array", None)  # Indexing would fail.
        assert _lines(_open(tmp_path, "a.txt")) == [b"a", b"b"]
    with (tmp_path / "a.txt").open("ab") as file:
        file.write(b"c\n")
    assert _lines(_open(tmp_path, "a.txt")) == [b"a", b"b", b"c"]


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a\n")
    (tmp_path / "empty.txt").write_bytes(b"\n \n")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b"a\n"))
    with pytest.raises(
        UserError, match=r"config.data\[a\].paths: .*b.jsonl.gz' is compressed.*gunz"
    ):
        _open(tmp_path, "a.txt", "b.jsonl.gz")
    with pytest.raises(UserError, match="no line"):
        _open(tmp_path, "empty.txt")
    with pytest.raises(UserError, match="1 of 1 files are missing"):
        _open(tmp_path, "c.txt")
    with pytest.raises(UserError, match="cannot read"):
        open_line_index([str(tmp_path)], str(tmp_path / "indexes"), FIELD)
    index = _open(tmp_path, "a.txt", "c.txt")
    assert _lines(index) == [b"a"]
    assert [problem.reason for problem in index.problems] == [Reason.MISSING_SHARD]


def test_a_file_that_became_shorter_is_a_bad_sample(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a\nbcd\n")
    index = _open(tmp_path, "a.txt")
    os.truncate(tmp_path / "a.txt", 3)
    with pytest.raises(BadSample) as raised:
        index.read(1)
    assert raised.value.reason is Reason.TRUNCATED_SHARD
    files.forget(str(tmp_path / "a.txt"))
    (tmp_path / "a.txt").unlink()
    with pytest.raises(BadSample) as raised:
        index.read(1)
    assert raised.value.reason is Reason.MISSING_SHARD


def test_lines_of_a_bucket(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a\n\nb\n")
    with bucket_in(tmp_path):
        index = open_line_index([f"{BUCKET}/a.txt"], str(tmp_path / "indexes"), FIELD)
        assert _lines(index) == [b"a", b"b"]
