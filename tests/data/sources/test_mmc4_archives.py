"""Zip files of MMC4: unpacked once, and only what is whole."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import Reason
from flamingo_jax.data.sources import mmc4_archives
from flamingo_jax.data.sources.mmc4_archives import Unpacked

LINES = b'{"a": 1}\n' * 100


def _write(path: Path, members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _unpack(folder: Path, *names: str) -> Unpacked:
    paths = [str(folder / name) for name in names]
    return mmc4_archives.unpack(paths, str(folder / "indexes"), "config.paths")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_lines_of_zip_files_and_others_as_they_are(tmp_path: Path, method: int) -> None:
    _write(tmp_path / "docs_shard_3_v2.jsonl.zip", {"docs_shard_3_v2.jsonl": LINES}, method)
    found = _unpack(tmp_path, "docs_shard_3_v2.jsonl.zip", "other.jsonl", "absent.zip")
    first, *others = found.paths
    assert Path(first).read_bytes() == LINES
    assert Path(first).name == "docs_shard_3_v2.jsonl"
    assert others == [str(tmp_path / "other.jsonl"), str(tmp_path / "absent.zip")]
    assert found.problems == ()


def test_unpacked_once_and_again_when_the_zip_changes(tmp_path: Path) -> None:
    _write(tmp_path / "0.zip", {"0.jsonl": LINES})
    (first,) = _unpack(tmp_path, "0.zip").paths
    written = Path(first).stat().st_mtime_ns
    assert _unpack(tmp_path, "0.zip").paths == (first,)
    assert Path(first).stat().st_mtime_ns == written
    # Another zip of the same size.
    _write(tmp_path / "0.zip", {"0.jsonl": LINES.replace(b"1", b"2")})
    os.utime(tmp_path / "0.zip", ns=(0, 0))
    (second,) = _unpack(tmp_path, "0.zip").paths
    assert Path(second).read_bytes() == LINES.replace(b"1", b"2")
    # Nothing half-written stays.
    assert len([path for path in (tmp_path / "indexes").rglob("*") if path.is_file()]) == 2


def test_zip_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        _write(tmp_path / folder / "0.zip", {"0.jsonl": folder.encode()})
    paths = _unpack(tmp_path, "a/0.zip", "b/0.zip").paths
    assert [Path(path).read_bytes() for path in paths] == [b"a", b"b"]


def test_without_a_folder_of_indexes_the_cache_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _write(tmp_path / "0.zip", {"0.jsonl": LINES})
    (path,) = mmc4_archives.unpack([str(tmp_path / "0.zip")], "", "config.paths").paths
    assert tmp_path / "cache/flamingo_jax/unpacked" in Path(path).parents


def test_names_inside_lead_nowhere(tmp_path: Path) -> None:
    _write(tmp_path / "0.zip", {"../../evil.jsonl": LINES})
    (path,) = _unpack(tmp_path, "0.zip").paths
    assert (tmp_path / "indexes") in Path(path).parents
    assert Path(path).read_bytes() == LINES
    assert not list(tmp_path.parent.rglob("evil*"))


def test_broken_zip_files_are_problems(tmp_path: Path) -> None:
    _write(tmp_path / "0.zip", {"0.jsonl": LINES})
    whole = (tmp_path / "0.zip").read_bytes()
    (tmp_path / "1.zip").write_bytes(whole[:-30])
    damaged = bytearray(whole)
    damaged[45] ^= 0xFF
    (tmp_path / "2.zip").write_bytes(damaged)
    found = _unpack(tmp_path, "0.zip", "1.zip", "2.zip")
    assert found.paths[1:] == (None, None)
    assert found.paths[0] is not None
    assert [bad.name for bad in found.problems] == ["1.zip", "2.zip"]
    assert {bad.reason for bad in found.problems} == {Reason.TRUNCATED_SHARD}


@pytest.mark.parametrize(
    "members",
    [{"a.jpg": b"a"}, {"0.jsonl": LINES, "1.jsonl": LINES}, {"large.jsonl": LINES * 2}],
)
def test_what_is_not_one_file_of_lines_is_an_error(
    tmp_path: Path, members: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mmc4_archives, "MAX_UNPACKED_BYTES", len(LINES))
    _write(tmp_path / "0.zip", members)
    with pytest.raises(
        UserError, match=r"config\.paths: .*0\.zip' holds \d files .*: expected one"
    ):
        _unpack(tmp_path, "0.zip")


def test_a_full_disk_is_an_error_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, content: bytes) -> None:
        raise OSError(28, "No space left on device", path)

    _write(tmp_path / "0.zip", {"0.jsonl": LINES})
    monkeypatch.setattr("flamingo_jax.data.files.write_whole", full)
    with pytest.raises(UserError, match=r"No space left .* set options\.index_dir"):
        _unpack(tmp_path, "0.zip")
