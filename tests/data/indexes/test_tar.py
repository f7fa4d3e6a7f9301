"""Tar shards with random access: samples, members by name, broken shards, the index on disk."""

from __future__ import annotations

import concurrent.futures
import io
import os
import random
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.indexes import tar_scan
from flamingo_jax.data.indexes.tar import TarIndex, open_tar_index
from flamingo_jax.data.open_files import OpenFiles
from tests.data.buckets import BUCKET, bucket_in

FIELD = "config.data[a].paths"
Contents = Sequence[tuple[str, bytes]]


def write_tar(path: Path, contents: Contents, tar_format: int = tarfile.PAX_FORMAT) -> None:
    """A shard of members in order, of any name, also the same name twice."""
    with tarfile.open(path, "w", format=tar_format) as tar:
        for name, content in contents:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def _open(folder: Path, *names: str) -> TarIndex:
    paths = [str(folder / name) for name in names]
    return open_tar_index(paths, str(folder / "indexes"), FIELD)


def _samples(index: TarIndex) -> list[dict[str, bytes]]:
    return [
        {suffix: index.read(n, suffix) for suffix in index.suffixes(n)}
        for n in range(index.num_samples)
    ]


def _pairs(first: int, end: int) -> Contents:
    """Samples of a picture and a text, of different lengths."""
    return [
        (f"{number:06d}.{suffix}", f"{suffix} {number}".encode() * (number % 90))
        for number in range(first, end)
        for suffix in ("jpg", "txt")
    ]


def test_members_side_by_side_are_a_sample(tmp_path: Path) -> None:
    contents = [
        ("README", b"no suffix"),
        ("a.jpg", b"1"),
        ("a.TXT", b"2"),
        ("b.seg.png", b"3"),
        (".hidden", b"4"),
        ("b.png", b"5"),
        ("x/b.png", b"6"),
        ("x.y/b.png", b"7"),
        ("x.y/b.txt", b"8"),
        ("a.jpg", b"9"),
        ("a.jpg", b"10"),
        ("a.txt", b"11"),
        ("c.", b"12"),
    ]
    write_tar(tmp_path / "0.tar", contents)
    index = _open(tmp_path, "0.tar")
    assert _samples(index) == [
        {"jpg": b"1", "txt": b"2"},
        {"seg.png": b"3", "png": b"5"},
        {"png": b"6"},
        {"png": b"7", "txt": b"8"},
        {"jpg": b"9"},
        {"jpg": b"10", "txt": b"11"},
    ]
    assert index.problems == ()
    assert [index.name(n) for n in (0, 1, 3)] == ["0.tar: a", "0.tar: b", "0.tar: x.y/b"]
    assert index.read_named(0, "txt") == ("0.tar: a.TXT", b"2")
    assert index.read_member("README") == b"no suffix"
    assert index.read_member(".hidden") == b"4"
    for n in (-1, 6):
        with pytest.raises(IndexError):
            index.suffixes(n)
    with pytest.raises(BadSample, match="0.tar: x/b.*no member .txt"):
        index.read(2, "txt")


def test_the_same_key_in_two_shards_is_two_samples(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", [("a.jpg", b"1"), ("a.txt", b"2"), ("b.jpg", b"3")])
    write_tar(tmp_path / "1.tar", [("b.txt", b"4"), ("a.jpg", b"5"), ("a.txt", b"6")])
    index = _open(tmp_path, "0.tar", "1.tar")
    assert _samples(index) == [
        {"jpg": b"1", "txt": b"2"},
        {"jpg": b"3"},
        {"txt": b"4"},
        {"jpg": b"5", "txt": b"6"},
    ]
    assert index.name(1) == "0.tar: b" and index.name(2) == "1.tar: b"
    assert index.read_member("a.jpg") == b"1"
    assert index.read_member("b.txt") == b"4"


@pytest.mark.parametrize(
    "tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
)
def test_random_access_equals_reading_in_order(tmp_path: Path, tar_format: int) -> None:
    long = [("folder/" * (13 if tar_format == tarfile.USTAR_FORMAT else 40) + "ä.jpg", b"long")]
    shards = [[*_pairs(0, 60), *long], _pairs(60, 61), [*long, *_pairs(61, 130)]]
    expected = {}
    for number, contents in enumerate(shards):
        write_tar(tmp_path / f"{number}.tar", contents, tar_format)
        with tarfile.open(tmp_path / f"{number}.tar") as tar:
            for info in tar:
                file = tar.extractfile(info)
                assert file is not None
                expected[f"{number}.tar: {info.name}"] = file.read()
    index = _open(tmp_path, "0.tar", "1.tar", "2.tar")
    keys = [(n, suffix) for n in range(index.num_samples) for suffix in index.suffixes(n)]
    random.Random(0).shuffle(keys)
    found = dict(index.read_named(*key) for key in keys)
    assert found == expected
    assert index.num_samples == 132

    def read(key: tuple[int, str]) -> tuple[str, bytes]:
        return index.read_named(*key)

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert dict(threads.map(read, keys * 5)) == expected
        names = [name.partition(": ")[2] for name in expected]
        members = list(threads.map(index.read_member, names))
    assert members == [index.read_member(name) for name in names]
    assert set(members) == set(expected.values())


def test_members_by_name(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", [("./a.jpg", b"1"), ("ä/b.jpg", b"2"), ("A.jpg", b"3")])
    index = _open(tmp_path, "0.tar")
    assert index.read_member("a.jpg") == index.read_member("./a.jpg") == b"1"
    assert index.read_member("ä/b.jpg") == b"2"
    assert index.read_member("A.jpg") == b"3"
    for name in ("b.jpg", "a.JPG", "", "a.jpg\0", "\ud800.jpg", "/a.jpg"):
        assert index.read_member(name) is None


def test_members_whose_hashes_collide_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tar_scan, "_digest", lambda name: bytes(8))
    write_tar(tmp_path / "0.tar", [("a.jpg", b"1"), ("b.jpg", b"2")])
    write_tar(tmp_path / "1.tar", [("c.jpg", b"3"), ("a.jpg", b"4")])
    index = _open(tmp_path, "0.tar", "1.tar")
    names = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert [index.read_member(name) for name in names] == [b"1", b"2", b"3", None]


@pytest.mark.parametrize(
    "name", ["../../x.jpg", "/etc/x.jpg", "a/../../x.jpg", "a\\x.jpg", "~/x.jpg"]
)
def test_unsafe_names_are_left_out(tmp_path: Path, name: str) -> None:
    write_tar(tmp_path / "0.tar", [("a.jpg", b"1"), (name, b"2"), ("a.txt", b"3")])
    index = _open(tmp_path, "0.tar")
    assert _samples(index) == [{"jpg": b"1", "txt": b"3"}]
    (problem,) = index.problems
    assert problem.reason is Reason.UNSAFE_NAME
    assert index.read_member(name) is None


def test_links_are_left_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for name, kind in (("a.txt", tarfile.REGTYPE), ("a.jpg", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    index = _open(tmp_path, "0.tar")
    assert _samples(index) == [{"txt": b""}]
    assert [str(problem) for problem in index.problems] == [
        "0.tar: a.jpg: unsafe_name (a link is not followed)"
    ]


def test_very_many_unsafe_names_are_counted(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", [("a.jpg", b"1"), *[(f"/{n}.jpg", b"") for n in range(250)]])
    problems = _open(tmp_path, "0.tar").problems
    assert len(problems) == 101 and "150 more" in str(problems[-1])


def test_truncated_shards_keep_what_is_whole(tmp_path: Path) -> None:
    write_tar(tmp_path / "whole.tar", _pairs(5, 8))
    whole = (tmp_path / "whole.tar").read_bytes()
    with tarfile.open(tmp_path / "whole.tar") as tar:
        ends = [info.offset_data + info.size for info in tar]
    for cut in (*ends, ends[0] + 1, ends[1] + 512, ends[3] + 700, ends[4] - 1, len(whole) - 1):
        (tmp_path / "cut.tar").write_bytes(whole[:cut])
        index = _open(tmp_path, "whole.tar", "cut.tar")
        members = [content for sample in _samples(index)[3:] for content in sample.values()]
        expected = [
            content for (_, content), end in zip(_pairs(5, 8), ends, strict=True) if end <= cut
        ]
        assert members == expected, cut
        # The file goes on after the second block of zeros, which ends the archive.
        is_truncated = cut < -(-ends[-1] // 512) * 512 + 512
        assert [problem.reason for problem in index.problems] == (
            [Reason.TRUNCATED_SHARD] if is_truncated else []
        ), cut
        assert all(problem.name == "cut.tar" for problem in index.problems)


def test_missing_shards_are_problems_until_they_are_most(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", _pairs(0, 2))
    index = _open(tmp_path, "0.tar", "1.tar")
    assert index.num_samples == 2
    assert [(problem.reason, problem.name) for problem in index.problems] == [
        (Reason.MISSING_SHARD, "1.tar")
    ]
    with pytest.raises(UserError, match=r"config.data\[a\].paths: 2 of 3 files are missing.*1.tar"):
        _open(tmp_path, "0.tar", "1.tar", "2.tar")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no sample in 1 tar files.*the end mark is missing"),
        (bytes(10240), "no sample in 1 tar files"),
        (b"<html>" * 200, "no sample.*no header of a member at byte 0"),
        (b"\x1f\x8b\x08" + bytes(100), "0.tar' is compressed.*gunzip"),
        (b"BZh91AY&SY" + bytes(100), "bunzip2"),
        (b"PK\x03\x04" + bytes(100), "unzip"),
    ],
)
def test_what_is_no_tar_shard(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "0.tar").write_bytes(content)
    with pytest.raises(UserError, match=words) as raised:
        _open(tmp_path, "0.tar")
    assert str(raised.value).startswith(FIELD)


def test_a_member_called_like_a_compressed_file_is_none(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", [("BZhang.jpg", b"1")])
    assert _samples(_open(tmp_path, "0.tar")) == [{"jpg": b"1"}]


def test_names_that_are_not_utf8_do_not_break_messages(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", [("\udcff\n.jpg", b"1")], tarfile.GNU_FORMAT)
    index = _open(tmp_path, "0.tar")
    assert index.name(0).encode() == rb"0.tar: \udcff\n"
    assert index.read_member("\udcff\n.jpg") == b"1"


def test_an_index_is_made_once_and_again_when_the_shard_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tar(tmp_path / "0.tar", _pairs(1, 3))
    first = _samples(_open(tmp_path, "0.tar"))
    (stored,) = (tmp_path / "indexes").iterdir()
    before = stored.stat().st_mtime_ns
    with monkeypatch.context() as patch:
        patch.setattr(files, "read_range", lambda *_: pytest.fail("the shard is read again"))
        index = _open(tmp_path, "0.tar")
    assert stored.stat().st_mtime_ns == before
    assert _samples(index) == first

    write_tar(tmp_path / "new.tar", _pairs(3, 9))
    os.replace(tmp_path / "new.tar", tmp_path / "0.tar")
    changed = _open(tmp_path, "0.tar")
    assert [sample["txt"] for sample in _samples(changed)] == [c for _, c in _pairs(3, 9)[1::2]]
    assert len(list((tmp_path / "indexes").iterdir())) == 1
    # Whoever still has the old index gets the old bytes or an error, never parts of both.
    with pytest.raises(BadSample, match="changed after it was indexed"):
        index.read(1, "txt")


def test_an_old_file_is_not_read_with_the_index_that_another_process_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tar(tmp_path / "0.tar", _pairs(1, 3))
    _samples(_open(tmp_path, "0.tar"))
    write_tar(tmp_path / "new.tar", _pairs(3, 9))
    os.replace(tmp_path / "new.tar", tmp_path / "0.tar")
    with monkeypatch.context() as other_process:
        other_process.setattr(files, "_open_files", OpenFiles(max_open=2))
        expected = _samples(_open(tmp_path, "0.tar"))
    assert _samples(_open(tmp_path, "0.tar")) == expected
    assert len(expected) == 6


def test_same_size_other_time_is_another_shard(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", [("a.jpg", b"1"), ("b.txt", b"2")])
    _open(tmp_path, "0.tar")
    write_tar(tmp_path / "0.tar", [("a.jpg", b"1"), ("a.txt", b"2")])
    os.utime(tmp_path / "0.tar", ns=(1, 1))
    assert _open(tmp_path, "0.tar").num_samples == 1


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no zip", None])
def test_a_broken_index_is_made_anew(tmp_path: Path, damage: bytes | None) -> None:
    write_tar(tmp_path / "0.tar", _pairs(1, 3))
    index = _open(tmp_path, "0.tar")
    (stored,) = (tmp_path / "indexes").iterdir()
    if damage is None:
        stored.unlink()
    else:
        stored.write_bytes(damage)
    assert index.read_member("000002.txt") == b"txt 2txt 2"  # Loads the names only now.
    assert _samples(_open(tmp_path, "0.tar")) == _samples(index)


class _WritesAFile:
    """An object whose pickle, when it is loaded, does what it likes."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self._path,)


def test_pickles_in_an_index_are_not_loaded(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", _pairs(1, 3))
    _open(tmp_path, "0.tar")
    (stored,) = (tmp_path / "indexes").iterdir()
    with np.load(stored) as arrays:
        changed = dict(arrays)
    changed["starts"] = np.asarray([_WritesAFile(tmp_path / "loaded"), 2], object)
    np.savez(stored, **changed)
    assert _open(tmp_path, "0.tar").num_samples == 2
    assert not (tmp_path / "loaded").exists()


def test_many_processes_index_the_same_shards(tmp_path: Path) -> None:
    for number in range(4):
        write_tar(tmp_path / f"{number}.tar", _pairs(10 * number, 10 * number + 10))
    names = [f"{number}.tar" for number in range(4)]
    command = [sys.executable, "-c", _INDEX_AND_COUNT, str(tmp_path), *names]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    counts = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert counts == ["40"] * 3
    assert sorted(file.suffix for file in (tmp_path / "indexes").iterdir()) == [".npz"] * 4


_INDEX_AND_COUNT = """
import sys
from flamingo_jax.data.indexes.tar import open_tar_index
folder, *names = sys.argv[1:]
paths = [f"{folder}/{name}" for name in names]
print(open_tar_index(paths, f"{folder}/indexes", "paths").num_samples)
"""


def test_the_index_lies_in_the_cache_folder_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tar(tmp_path / "0.tar", _pairs(0, 1))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    open_tar_index([str(tmp_path / "0.tar")], "", FIELD)
    assert len(list((tmp_path / "cache/flamingo_jax/indexes").glob("*.npz"))) == 1
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    open_tar_index([str(tmp_path / "0.tar")], "", FIELD)
    assert len(list((tmp_path / ".cache/flamingo_jax/indexes").glob("*.npz"))) == 1


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", _pairs(0, 1))
    (tmp_path / "indexes").write_bytes(b"a file")
    with pytest.raises(UserError, match=r"cannot write.*options.index_dir"):
        _open(tmp_path, "0.tar")


def test_a_shard_that_goes_away_is_a_bad_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tar(tmp_path / "0.tar", _pairs(1, 3))
    index = _open(tmp_path, "0.tar")
    content = (tmp_path / "0.tar").read_bytes()
    files.forget(str(tmp_path / "0.tar"))
    (tmp_path / "0.tar").unlink()
    with pytest.raises(BadSample) as raised:
        index.read(1, "txt")
    assert raised.value.reason is Reason.MISSING_SHARD
    (tmp_path / "0.tar").write_bytes(content[:600])
    with pytest.raises(BadSample) as raised:
        index.read(1, "txt")
    assert raised.value.reason is Reason.TRUNCATED_SHARD


def test_shards_and_indexes_of_a_bucket(tmp_path: Path) -> None:
    (tmp_path / "indexes").mkdir()
    write_tar(tmp_path / "0.tar", _pairs(0, 50))
    with bucket_in(tmp_path):
        for _ in range(2):
            index = open_tar_index([f"{BUCKET}/0.tar"], f"{BUCKET}/indexes", FIELD)
            assert [sample["txt"] for sample in _samples(index)] == [
                content for _, content in _pairs(0, 50)[1::2]
            ]
            assert index.read_member("000049.jpg") == b"jpg 49" * 49
            assert len(list((tmp_path / "indexes").iterdir())) == 1
