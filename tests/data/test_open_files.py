"""Local files that stay open, shared by threads."""

from __future__ import annotations

import concurrent.futures
import os
from pathlib import Path

import pytest

from flamingo_jax.data.open_files import OpenFiles


def _write(folder: Path, count: int) -> list[str]:
    paths = [str(folder / str(number)) for number in range(count)]
    for number, path in enumerate(paths):
        Path(path).write_bytes(bytes([number]) * 1000)
    return paths


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_many_threads_read_more_files_than_stay_open(tmp_path: Path) -> None:
    # Two open files for eight threads: nearly every read closes a file that others may read.
    open_files, paths = OpenFiles(max_open=2), _write(tmp_path, 12)
    seen = set()

    def read(n: int) -> bool:
        with open_files.lend(paths[n % 12]) as descriptor:
            seen.add(descriptor)
            return os.pread(descriptor, 400, n % 500) == bytes([n % 12]) * 400

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, (7 * n for n in range(4000))))
    for path in paths:
        open_files.forget(path)
    assert not any(map(_is_open, seen))


def test_a_file_is_closed_by_its_last_reader(tmp_path: Path) -> None:
    open_files, paths = OpenFiles(max_open=1), _write(tmp_path, 2)
    with open_files.lend(paths[0]) as first:
        with open_files.lend(paths[0]) as again, open_files.lend(paths[1]) as second:
            assert first == again != second
        assert _is_open(first)  # The other file took its place, but here it is still read.
        assert _is_open(second)
    assert not _is_open(first)
    with open_files.lend(paths[1]) as kept:
        assert kept == second
        open_files.forget(paths[1])
        assert _is_open(kept)
    assert not _is_open(kept)
    with pytest.raises(FileNotFoundError), open_files.lend(str(tmp_path / "none")):
        pass
