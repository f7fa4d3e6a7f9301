"""What the index of a tar shard holds, found by reading its headers once."""

from __future__ import annotations

import array
import hashlib
import os

import numpy as np

from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import Reason
from flamingo_jax.data.indexes import file_indexes, tar_headers
from flamingo_jax.data.indexes.file_indexes import Kind, Report, printable, smallest
from flamingo_jax.data.indexes.tar_headers import BLOCK, BrokenTar, Member

HASHES = "name_hashes"
"""Name of the array of the members' name hashes, which is loaded when it is first needed."""

_HASH_BYTES = 8
_MAX_PROBLEMS_OF_A_SHARD = 100
# Headers lie far apart on a disk, which reads little at a time; a bucket takes long to answer.
_LOCAL_WINDOW, _REMOTE_WINDOW = 4 * BLOCK, 8 << 20


class _Scan:
    """Collects the arrays of a shard, member by member."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._data, self._sizes, self._headers, self._starts = (array.array("Q") for _ in range(4))
        self._suffix_ids, self._hashes = array.array("L"), bytearray()
        self._ids = {"": 0}
        self._problems: list[tuple[Reason, str, str]] = []
        self._num_problems = 0
        self._key, self._seen = "", set[str]()

    def add(self, member: Member) -> None:
        name = text(member.name)
        if refusal := _refusal(member, name):
            self._add_problem(Reason.UNSAFE_NAME, f"{self._name}: {printable(name)}", refusal)
            return
        key, suffix = key_and_suffix(name)
        if suffix:
            if key != self._key or suffix in self._seen or not self._starts:
                self._key, self._seen = key, set()
                self._starts.append(len(self._data))
            self._seen.add(suffix)
        self._suffix_ids.append(self._ids.setdefault(suffix, len(self._ids)))
        self._data.append(member.data)
        self._sizes.append(member.size)
        self._headers.append(member.header)
        self._hashes += _digest(member.name)

    def end(self, broken: BrokenTar) -> None:
        self._num_problems += 1
        reason = Reason.TRUNCATED_SHARD if broken.is_truncated else Reason.BROKEN_RECORD
        detail = f"{broken}; {len(self._data)} members before it"
        self._problems.insert(0, (reason, self._name, detail))

    def arrays(self) -> file_indexes.Arrays:
        if left_out := self._num_problems - len(self._problems):
            self._problems.append((Reason.UNSAFE_NAME, self._name, f"{left_out} more"))
        blocks, header_blocks = (
            np.asarray(o, np.int64) // BLOCK for o in (self._data, self._headers)
        )
        return {
            "offsets": smallest(blocks),
            "sizes": smallest(np.asarray(self._sizes)),
            "header_blocks": smallest(blocks - header_blocks),
            "suffix_ids": smallest(np.asarray(self._suffix_ids)),
            "starts": smallest(np.asarray(self._starts)),
            "suffixes": np.asarray(list(self._ids), np.str_),
            HASHES: np.frombuffer(bytes(self._hashes), "<u8"),
            file_indexes.PROBLEMS: file_indexes.problem_rows(self._problems),
        }

    def _add_problem(self, reason: Reason, name: str, detail: str) -> None:
        self._num_problems += 1
        if len(self._problems) < _MAX_PROBLEMS_OF_A_SHARD:
            self._problems.append((reason, name, detail))


def scan(path: str, num_bytes: int, report: Report) -> file_indexes.Arrays:
    """The arrays of a shard's index.

    Args:
        path: the shard.
        num_bytes: its size.
        report: told how far the scan has got.

    Returns:
        For each member "offsets" and "header_blocks" in blocks of 512 bytes, "sizes" in bytes,
        "suffix_ids" and `HASHES`; for each sample in "starts" the number of its first member; and
        the "suffixes", of which the first is empty: that of members that belong to no sample.

    Raises:
        OSError: the file cannot be read.
    """
    found = _Scan(os.path.basename(path))
    try:
        for member in tar_headers.members(_window(path, num_bytes, report), num_bytes):
            found.add(member)
    except BrokenTar as broken:
        found.end(broken)
    return found.arrays()


KIND = Kind(name="tar-1", scan=scan, deferred=(HASHES,))
"""The kind of index that tar shards have."""


def _window(path: str, num_bytes: int, report: Report) -> tar_headers.Read:
    """Reads a file forwards, a window at a time."""
    length_of_window = _REMOTE_WINDOW if path.startswith("gs://") else _LOCAL_WINDOW
    window, start = b"", 0

    def read(offset: int, length: int) -> bytes:
        nonlocal window, start
        end = min(offset + length, num_bytes)
        if offset < start or end > start + len(window):
            report(max(offset - start, 0))
            window = files.read_range(path, offset, max(length, length_of_window))
            start = offset
        return window[offset - start : offset - start + length]

    return read


def _refusal(member: Member, name: str) -> str:
    """Why a member is left out; empty if it is not."""
    if member.is_link:
        return "a link is not followed"
    return "" if files.is_safe_name(name) else "the name leads out of the folder"


def key_and_suffix(name: str) -> tuple[str, str]:
    """Sample and suffix of a member; an empty suffix if it belongs to no sample."""
    folder, slash, base = name.rpartition("/")
    stem, _, suffix = base.partition(".")
    return (folder + slash + stem, suffix.lower()) if stem else (name, "")


def text(name: bytes) -> str:
    """A name as it is in Python: what is not UTF-8 becomes surrogates."""
    return name.decode("utf-8", "surrogateescape")


def _digest(name: bytes) -> bytes:
    return hashlib.blake2b(name, digest_size=_HASH_BYTES).digest()


def name_hash(name: bytes) -> int:
    """The number that a name is found by."""
    return int.from_bytes(_digest(name), "little")
