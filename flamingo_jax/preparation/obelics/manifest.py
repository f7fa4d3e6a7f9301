"""The manifest: what was asked for, and one line for every finished shard.

`manifest.jsonl` begins with the settings that the shards follow from. A shard is finished when its
line is on the disk: the line is written before the shard gets its name, and a shard that has its
line but not yet its name is renamed at the next start. So at whatever moment the program is killed,
every shard counts once and no finished one is made again.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from flamingo_jax.core.errors import UserError
from flamingo_jax.core.files import write_atomic

MANIFEST = "manifest.jsonl"
_LOCK = ".lock"
_DIGITS = 6


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """What is in a finished shard.

    Attributes:
        shard: number of the shard, from 0.
        num_bytes: size of its file.
        documents: {"written", "without_picture" or "broken_record": documents}.
        pictures: {outcome: pictures}, as in `outcomes`; every picture of every document that is
            not broken counts once.
    """

    shard: int
    num_bytes: int
    documents: Mapping[str, int]
    pictures: Mapping[str, int]


def shard_name(shard: int) -> str:
    """The file name of a shard."""
    return f"{shard:0{_DIGITS}d}.tar"


def unfinished_name(shard: int) -> str:
    """The file name of a shard that is being written; `*.tar` does not find it."""
    return f".{shard_name(shard)}.unfinished"


class Manifest:
    """The finished shards of a folder; see `open_manifest`.

    Attributes:
        folder: where the shards lie.
    """

    def __init__(self, folder: Path, records: Mapping[int, ShardRecord], file: IO[str]) -> None:
        """Continues `file`, in which `records` are."""
        self.folder = folder
        self._records = dict(records)
        self._file = file

    def is_finished(self, shard: int) -> bool:
        """Whether a shard need not be made any more."""
        return shard in self._records

    def finish(self, record: ShardRecord) -> None:
        """Takes over a shard whose unfinished file is complete and on the disk."""
        self._file.write(_line(dataclasses.asdict(record)))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._records[record.shard] = record
        _settle(self.folder, record)

    def totals(self) -> tuple[collections.Counter[str], collections.Counter[str]]:
        """(documents, pictures) of all finished shards by what became of them."""
        documents: collections.Counter[str] = collections.Counter()
        pictures: collections.Counter[str] = collections.Counter()
        for record in self._records.values():
            documents.update(record.documents)
            pictures.update(record.pictures)
        return documents, pictures


@contextlib.contextmanager
def open_manifest(folder: Path, settings: Mapping[str, Any]) -> Iterator[Manifest]:
    """Opens the manifest of a folder, or begins one; no other process can meanwhile.

    Shards that were finished but not named are named; half-written ones are deleted; those that
    somebody has deleted or cut off are to be made again.

    Args:
        folder: exists and can be written in.
        settings: what the shards follow from; values of JSON.

    Raises:
        UserError: another process is at work in the folder; the folder's shards follow from other
            settings; the manifest is damaged.
    """
    path = folder / MANIFEST
    settings = json.loads(json.dumps(settings))
    with _locked(folder / _LOCK):
        lines = _whole_lines(path)
        if lines:
            _check_settings(path, lines[0], settings)
        found = [_parsed(path, number, line) for number, line in enumerate(lines[1:], start=2)]
        records = {record.shard: record for record in found if _settle(folder, record)}
        if not lines or len(records) < len(found):
            # Begins the manifest, or takes out what is said of shards that are gone.
            fields = [{"settings": settings}, *map(dataclasses.asdict, records.values())]
            write_atomic(path, "".join(map(_line, fields)))
        for leftover in folder.glob(unfinished_name(0).replace("0" * _DIGITS, "*")):
            leftover.unlink()
        with path.open("a", encoding="utf-8") as file:
            yield Manifest(folder, records, file)


def _settle(folder: Path, record: ShardRecord) -> bool:
    """Names the shard of a record if it is not named yet; False if there is none."""
    final = folder / shard_name(record.shard)
    unfinished = folder / unfinished_name(record.shard)
    if _size(unfinished) == record.num_bytes:
        os.replace(unfinished, final)
        _sync_folder(folder)
    return _size(final) == record.num_bytes


def _line(fields: Mapping[str, Any]) -> str:
    return f"{json.dumps(fields)}\n"


def _size(path: Path) -> int:
    """Size of a file, -1 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a lock that ends with the process, however it ends."""
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"another process is at work in {path.parent}: wait for it, or give another"
                " --output"
            ) from None
        yield


def _whole_lines(path: Path) -> list[str]:
    """The lines of the manifest; one that was cut off by a kill is taken out of the file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with path.open("r+b") as file:
            file.truncate(len(whole))
            os.fsync(file.fileno())
    return whole.decode("utf-8", "replace").splitlines()


def _check_settings(path: Path, line: str, settings: Mapping[str, Any]) -> None:
    try:
        found = json.loads(line)["settings"]
        differing = [name for name in settings if found.get(name) != settings[name]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path}, line 1: no settings; give another --output") from None
    if differing:
        name = differing[0]
        # The list of all input files is no message.
        what = "other files" if name == "input" else repr(found.get(name))
        raise UserError(
            f"{path.parent} was begun with --{name} of {what}: go on with the same, or give another"
            " --output"
        )


def _parsed(path: Path, number: int, line: str) -> ShardRecord:
    try:
        record = ShardRecord(**json.loads(line))
        counts = [*record.documents.values(), *record.pictures.values()]
        if all(isinstance(value, int) for value in (record.shard, record.num_bytes, *counts)):
            return record
    except (ValueError, TypeError, AttributeError):
        pass
    raise UserError(
        f"{path}, line {number}: no record of a shard; delete the line to fetch its shard again"
    )
