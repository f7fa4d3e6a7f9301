"""What the indexes of all kinds of files share: made once, kept on disk, missing files, progress.

The index of a file is a handful of numpy arrays. It is kept as one .npz (no pickles) in a folder of
indexes, under a name made of the file's path, and is made anew when the file's size or time is
another one.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.core.files import prepare_folder
from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.indexes.progress import Progress

Arrays = Mapping[str, np.ndarray]
Report = Callable[[int], None]
Scan = Callable[[str, int, Report], Arrays]
"""(path, its size in bytes, report) -> the arrays of its index, perhaps `PROBLEMS` among them.

It calls `report(n)` every now and then when it has got n bytes further, and may raise OSError.
"""

PROBLEMS = "problems"
"""Name of an array of strings [number, 3]: reason, name and detail of each `BadSample`."""

Item = TypeVar("Item")
Result = TypeVar("Result")

_KEY = "key"
_THREADS = 16
_COMPRESSED = {
    rb"\x1f\x8b": "gunzip",
    rb"BZh[1-9]1AY&SY": "bunzip2",
    rb"\xfd7zXZ\x00": "unxz",
    rb"\x28\xb5\x2f\xfd": "unzstd",
    rb"PK\x03\x04": "unzip",
}
_MAGIC_BYTES = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of index.

    Attributes:
        name: names its files on disk; has a number that grows when the arrays change.
        scan: makes the index of a file.
        deferred: arrays that are not loaded at opening, but by `load_deferred`.
    """

    name: str
    scan: Scan
    deferred: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileIndex:
    """The index of one file.

    Attributes:
        path: the file.
        arrays: what the scan found, less deferred arrays and problems.
    """

    path: str
    arrays: Arrays


def open_file_indexes(
    paths: Sequence[str], index_dir: str, field: str, kind: Kind
) -> tuple[list[FileIndex], tuple[BadSample, ...]]:
    """The indexes of files, loaded from disk or made now.

    Args:
        paths: the files, local or gs://.
        index_dir: folder of the indexes, local or gs://; empty: `flamingo_jax/indexes` in
            $XDG_CACHE_HOME or ~/.cache.
        field: how messages name the files, such as "config.data[pairs].paths".
        kind: of the files.

    Returns:
        The indexes of the files that are there, in order, and what is wrong: missing files, and
        what the scans found.

    Raises:
        UserError: more than half of the files are missing, one is compressed or cannot be read, or
            the folder of the indexes cannot be written.
    """
    folder = _index_folder(index_dir)
    states = _in_threads(lambda path: _state_if_there(path, field), paths)
    missing = [path for path, state in zip(paths, states, strict=True) if state is None]
    if 2 * len(missing) > len(paths):
        raise UserError(
            f"{field}: {len(missing)} of {len(paths)} files are missing, the first is"
            f" {missing[0]!r}; correct the path or fetch them"
        )
    problems = [
        BadSample(Reason.MISSING_SHARD, os.path.basename(path), f"there is no {path}")
        for path in missing
    ]
    present = [(path, state) for path, state in zip(paths, states, strict=True) if state]
    progress = Progress(sum(state.num_bytes for _, state in present))
    all_arrays = _in_threads(
        lambda item: _load_or_scan(*item, folder, field, kind, progress, kind.deferred), present
    )
    for arrays in all_arrays:
        problems += _problems(arrays.pop(PROBLEMS, np.zeros((0, 3), np.str_)))
    indexes = [
        FileIndex(path=path, arrays=arrays)
        for (path, _), arrays in zip(present, all_arrays, strict=True)
    ]
    return indexes, tuple(problems)


def load_deferred(paths: Sequence[str], index_dir: str, kind: Kind, name: str) -> list[np.ndarray]:
    """One deferred array of each of the files; made anew if the index went away. Raises OSError."""
    folder, progress = _index_folder(index_dir), Progress(0)

    def load(path: str) -> np.ndarray:
        return _load_or_scan(path, files.state(path), folder, path, kind, progress)[name]

    return _in_threads(load, paths)


def read_exactly(path: str, offset: int, length: int, name: str) -> bytes:
    """A part of an indexed file.

    Raises:
        BadSample: the file is gone, has become shorter or cannot be read; `name` tells which
            example.
    """
    try:
        data = files.read_range(path, offset, length)
    except FileNotFoundError as error:
        raise BadSample(Reason.MISSING_SHARD, name, str(error)) from error
    except OSError as error:
        raise BadSample(Reason.BROKEN_RECORD, name, str(error)) from error
    if len(data) < length:
        raise BadSample(Reason.TRUNCATED_SHARD, name, "the file became shorter than its index")
    return data


def problem_rows(problems: Sequence[tuple[Reason, str, str]]) -> np.ndarray:
    """The array `PROBLEMS` of a scan: reason, name and detail of each."""
    rows = [(reason.value, name, detail) for reason, name, detail in problems]
    return np.asarray(rows, np.str_).reshape(len(rows), 3)


def _problems(rows: np.ndarray) -> list[BadSample]:
    return [BadSample(Reason(str(reason)), str(name), str(detail)) for reason, name, detail in rows]


def printable(name: str) -> str:
    """A name out of data for messages: what is not UTF-8 or not one line is written as `\\x..`."""
    safe = name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in safe)


def smallest(values: np.ndarray) -> np.ndarray:
    """Whole numbers of at least 0 in the smallest unsigned type that holds them."""
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))


def _in_threads(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """The results in order; the first error ends it, whatever is still to be done."""
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as threads:
        try:
            return list(threads.map(work, items))
        except BaseException:
            threads.shutdown(wait=True, cancel_futures=True)
            raise


def cache_folder() -> str:
    """Where indexes lie if the config names no folder for them."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "flamingo_jax")


def _index_folder(index_dir: str) -> str:
    if index_dir.startswith("gs://"):
        return index_dir
    if not index_dir:
        index_dir = os.path.join(cache_folder(), "indexes")
    try:
        return str(prepare_folder(index_dir))
    except UserError as error:
        raise UserError(f"{error}: set options.index_dir") from None


def _state_if_there(path: str, field: str) -> files.FileState | None:
    try:
        return files.state(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{field}: cannot read {path!r}: {error}") from None


def _load_or_scan(
    path: str,
    state: files.FileState,
    folder: str,
    field: str,
    kind: Kind,
    progress: Progress,
    without: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    place = path if path.startswith("gs://") else os.path.abspath(path)
    digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    target = files.join(folder, f"{kind.name}-{digest}.npz")
    key = f"{kind.name}\n{state.num_bytes}\n{state.modified}\n{place}"
    # The name may have meant another file when it was read last.
    files.forget(path)
    arrays = _load(target, key, without)
    if arrays is not None:
        progress.leave_out(state.num_bytes)
        return arrays
    try:
        _refuse_compressed(path, field)
        arrays = dict(kind.scan(path, state.num_bytes, progress.report))
    except OSError as error:
        raise UserError(f"{field}: cannot read {path!r}: {error}") from None
    content = io.BytesIO()
    np.savez(content, **{_KEY: np.asarray(key, np.str_)}, **arrays)  # type: ignore[arg-type]
    try:
        files.write_whole(target, content.getvalue())
    except OSError as error:
        raise UserError(f"cannot write index {target!r} ({error}): set options.index_dir") from None
    return {name: array for name, array in arrays.items() if name not in without}


def _load(target: str, key: str, without: Sequence[str]) -> dict[str, np.ndarray] | None:
    """The arrays of an index on disk; None if there is none, or it is of another file."""
    try:
        with (
            files.open_binary(target) as file,
            np.load(file, allow_pickle=False) as stored,
        ):
            if str(stored[_KEY]) != key:
                return None
            return {name: stored[name] for name in stored.files if name not in (_KEY, *without)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _refuse_compressed(path: str, field: str) -> None:
    start = files.read_range(path, 0, _MAGIC_BYTES)
    for magic, command in _COMPRESSED.items():
        if re.match(magic, start):
            raise UserError(
                f"{field}: {path!r} is compressed, so that nothing in it can be read on its own;"
                f" unpack it with {command}"
            )
