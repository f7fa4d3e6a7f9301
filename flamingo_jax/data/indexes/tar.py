"""Tar shards with random access: sample n of many files, and any member by its name.

The members of a sample stand side by side and have the same name up to the first dot of its last
part: `a/000017.jpg`, `a/000017.txt`. Only headers are read to make the index, never contents.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator, Sequence

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.indexes import file_indexes, tar_headers, tar_scan
from flamingo_jax.data.indexes.file_indexes import printable
from flamingo_jax.data.indexes.tar_headers import BLOCK

_CHANGED = "the file changed after it was indexed"


class TarIndex:
    """Samples of tar shards by number, in the order of shards and members.

    Attributes:
        num_samples: how many there are.
        problems: missing and truncated shards, members with unsafe names.
    """

    def __init__(
        self, shards: Sequence[_Shard], problems: tuple[BadSample, ...], index_dir: str
    ) -> None:
        """Use `open_tar_index`."""
        self._shards = shards
        self._index_dir = index_dir
        self._sample_ends = np.cumsum([len(shard.starts) for shard in shards], dtype=np.int64)
        self._names: _Names | None = None
        self._names_lock = threading.Lock()
        self.num_samples = int(self._sample_ends[-1])
        self.problems = problems

    def suffixes(self, n: int) -> tuple[str, ...]:
        """What members sample n has: names behind the first dot, in lower case ("jpg", "0.jpg")."""
        shard, members = self._members(n)
        return tuple(filter(None, (shard.suffixes[shard.suffix_ids[m]] for m in members)))

    def read(self, n: int, suffix: str) -> bytes:
        """The content of the member of sample n with that suffix; see `read_named` for errors."""
        return self.read_named(n, suffix)[1]

    def read_named(self, n: int, suffix: str) -> tuple[str, bytes]:
        """The member of sample n with that suffix.

        Args:
            n: number of the sample, from 0.
            suffix: one of `suffixes(n)`.

        Returns:
            Its name for messages ("0003.tar: 000017.jpg"), and its content.

        Raises:
            BadSample: the sample has no such member, or the shard is not what was indexed.
        """
        shard, members = self._members(n)
        for member in members:
            if shard.suffixes[shard.suffix_ids[member]] == suffix:
                name, content = shard.read(member)
                return f"{shard.name}: {printable(tar_scan.text(name))}", content
        raise BadSample(Reason.BROKEN_RECORD, self.name(n), f"it has no member .{suffix}")

    def name(self, n: int) -> str:
        """What sample n is called in messages ("0003.tar: 000017"); reads its header."""
        shard, members = self._members(n)
        try:
            key, _ = tar_scan.key_and_suffix(tar_scan.text(shard.read_name(members[0])))
        except BadSample:
            return f"{shard.name}: sample at byte {shard.offsets[members[0]]}"
        return f"{shard.name}: {printable(key)}"

    def read_member(self, name: str) -> bytes | None:
        """The content of a member by its full name, in the first shard that has it.

        Args:
            name: as in the tar file; `./` in front does not matter.

        Returns:
            The content, or None if there is no such member.

        Raises:
            BadSample: the shard is not what was indexed.
        """
        try:
            encoded = name.encode("utf-8", "surrogateescape").removeprefix(b"./")
        except UnicodeEncodeError:
            return None
        for shard_number, member in self._name_table().find(encoded):
            found, content = self._shards[shard_number].read(member)
            if found == encoded:
                return content
        return None

    def _members(self, n: int) -> tuple[_Shard, range]:
        if not 0 <= n < self.num_samples:
            raise IndexError(f"sample {n} of {self.num_samples}")
        number = int(np.searchsorted(self._sample_ends, n, side="right"))
        shard = self._shards[number]
        place = n - int(self._sample_ends[number]) + len(shard.starts)
        is_last = place + 1 == len(shard.starts)
        end = len(shard.offsets) if is_last else int(shard.starts[place + 1])
        return shard, range(int(shard.starts[place]), end)

    def _name_table(self) -> _Names:
        with self._names_lock:
            if self._names is None:
                paths = [shard.path for shard in self._shards]
                try:
                    hashes = file_indexes.load_deferred(
                        paths, self._index_dir, tar_scan.KIND, tar_scan.HASHES
                    )
                except (OSError, UserError) as error:
                    raise BadSample(Reason.MISSING_SHARD, paths[0], str(error)) from error
                for shard, of_shard in zip(self._shards, hashes, strict=True):
                    if len(shard.offsets) != len(of_shard):
                        raise BadSample(Reason.BROKEN_RECORD, shard.name, _CHANGED)
                self._names = _Names(hashes)
            return self._names


def open_tar_index(paths: Sequence[str], index_dir: str, field: str) -> TarIndex:
    """The samples of tar shards.

    Args:
        paths: the shards, as `files.expand` gives them.
        index_dir: folder of the indexes, local or gs://; empty: `flamingo_jax/indexes` in
            $XDG_CACHE_HOME or ~/.cache. A shard is indexed once, and again when it changes.
        field: how messages name the shards, such as "config.data[pairs].paths".

    Returns:
        Their index. What is wrong with some shards is in its `problems`.

    Raises:
        UserError: more than half of the shards are missing, no shard has a sample, or one is
            compressed or cannot be read.
    """
    indexes, problems = file_indexes.open_file_indexes(paths, index_dir, field, tar_scan.KIND)
    shards = [
        _Shard(
            path=index.path,
            name=os.path.basename(index.path),
            offsets=index.arrays["offsets"],
            sizes=index.arrays["sizes"],
            header_blocks=index.arrays["header_blocks"],
            suffix_ids=index.arrays["suffix_ids"],
            starts=index.arrays["starts"],
            suffixes=tuple(str(suffix) for suffix in index.arrays["suffixes"]),
        )
        for index in indexes
    ]
    if not any(len(shard.starts) for shard in shards):
        first = f"; {problems[0]}" if problems else ""
        raise UserError(
            f"{field}: no sample in {len(paths)} tar files from {paths[0]!r} on: expected members"
            f" such as 000017.jpg and 000017.txt{first}"
        )
    return TarIndex(shards, problems, index_dir)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Shard:
    """The members of one shard, each as numbers in arrays.

    Attributes:
        path: the file.
        name: how messages call it.
        offsets: where each content begins, in blocks of 512 bytes.
        sizes: bytes of each content.
        header_blocks: blocks of each member's headers, right before its content.
        suffix_ids: number of each member's suffix.
        starts: number of each sample's first member.
        suffixes: the suffixes; "" is that of members that belong to no sample.
    """

    path: str
    name: str
    offsets: np.ndarray
    sizes: np.ndarray
    header_blocks: np.ndarray
    suffix_ids: np.ndarray
    starts: np.ndarray
    suffixes: tuple[str, ...]

    def read(self, member: int) -> tuple[bytes, bytes]:
        """Full name and content of a member, out of one read. Raises BadSample."""
        return self._read(member, int(self.sizes[member]))

    def read_name(self, member: int) -> bytes:
        """Full name of a member. Raises BadSample."""
        return self._read(member, 0)[0]

    def _read(self, member: int, length: int) -> tuple[bytes, bytes]:
        offset, size = int(self.offsets[member]) * BLOCK, int(self.sizes[member])
        header_bytes = int(self.header_blocks[member]) * BLOCK
        place = f"{self.name}: member at byte {offset}"
        data = file_indexes.read_exactly(
            self.path, offset - header_bytes, header_bytes + length, place
        )
        found = tar_headers.first_member(data[:header_bytes], size)
        if found is None:
            raise BadSample(Reason.BROKEN_RECORD, place, _CHANGED)
        return found.name, data[header_bytes:]


class _Names:
    """Members by the hash of their name: 16 bytes a member, made when a name is first asked for."""

    def __init__(self, hashes: Sequence[np.ndarray]) -> None:
        self._ends = np.cumsum([len(of_shard) for of_shard in hashes], dtype=np.int64)
        everything = np.concatenate(hashes)
        # Stable: of equal names, that of the first shard comes first.
        self._order = np.argsort(everything, kind="stable")
        self._sorted = everything[self._order]

    def find(self, name: bytes) -> Iterator[tuple[int, int]]:
        """(shard, member) of each name with that hash."""
        wanted = np.uint64(tar_scan.name_hash(name))
        first, end = (
            int(np.searchsorted(self._sorted, wanted, side)) for side in ("left", "right")
        )
        for place in self._order[first:end]:
            shard = int(np.searchsorted(self._ends, place, side="right"))
            yield shard, int(place - (self._ends[shard - 1] if shard else 0))
