"""TFRecord files with random access: record n of many files.

A record is its length (8 bytes, little-endian), a masked CRC-32C of these 8 bytes, the data, and a
masked CRC-32C of the data. The lengths and their sums are checked when a file is indexed, and so a
cut or overwritten file is seen there; the sums of the data are not.
"""

from __future__ import annotations

import array
import os
import struct
from collections.abc import Sequence

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.indexes import file_indexes
from flamingo_jax.data.indexes.file_indexes import FileIndex, Kind, Report, smallest

_LENGTH_AND_SUM = struct.Struct("<QI")
_FOOTER_BYTES = 4
_POLYNOMIAL = 0x82F63B78  # of CRC-32C, bits reversed
_MASK_DELTA = 0xA282EAD8
_RECORDS_BETWEEN_REPORTS = 4096
# A bucket takes long to answer, so much is read at a time; on a disk only the headers are.
_LOCAL_WINDOW, _REMOTE_WINDOW = _LENGTH_AND_SUM.size, 8 << 20


class RecordIndex:
    """Records of TFRecord files by number, in the order of the files.

    Attributes:
        num_records: how many there are.
        problems: missing and truncated files.
    """

    def __init__(self, indexes: Sequence[FileIndex], problems: tuple[BadSample, ...]) -> None:
        """Use `open_record_index`."""
        self._files = indexes
        self._ends = np.cumsum([len(index.arrays["starts"]) for index in indexes], dtype=np.int64)
        self.num_records = int(self._ends[-1])
        self.problems = problems

    def read(self, n: int) -> bytes:
        """The data of record n. Raises BadSample if the file is not what was indexed."""
        index, record = self._place(n)
        start, length = (int(index.arrays[name][record]) for name in ("starts", "lengths"))
        header_bytes = _LENGTH_AND_SUM.size
        data = file_indexes.read_exactly(
            index.path, start - header_bytes, header_bytes + length, self.name(n)
        )
        if _length(data[:header_bytes]) != length:
            detail = "the file changed after it was indexed"
            raise BadSample(Reason.BROKEN_RECORD, self.name(n), detail)
        return data[header_bytes:]

    def name(self, n: int) -> str:
        """What record n is called in messages: "a-test.tfrecord-00000-of-00002: record 12"."""
        index, record = self._place(n)
        return f"{os.path.basename(index.path)}: record {record}"

    def _place(self, n: int) -> tuple[FileIndex, int]:
        if not 0 <= n < self.num_records:
            raise IndexError(f"record {n} of {self.num_records}")
        number = int(np.searchsorted(self._ends, n, side="right"))
        return self._files[number], n - (int(self._ends[number - 1]) if number else 0)


def open_record_index(paths: Sequence[str], index_dir: str, field: str) -> RecordIndex:
    """The records of TFRecord files, without compression.

    Args:
        paths: the files.
        index_dir: folder of the indexes, as in `open_tar_index`.
        field: how messages name the files, such as "config.data[pairs].paths".

    Returns:
        Their index. Of a truncated file it has the records that are whole.

    Raises:
        UserError: more than half of the files are missing, there is no record, or a file is
            compressed or cannot be read.
    """
    indexes, problems = file_indexes.open_file_indexes(paths, index_dir, field, _KIND)
    if not any(len(index.arrays["starts"]) for index in indexes):
        first = f"; {problems[0]}" if problems else ""
        raise UserError(f"{field}: no record in {len(paths)} files from {paths[0]!r} on{first}")
    return RecordIndex(indexes, problems)


def _scan(path: str, num_bytes: int, report: Report) -> file_indexes.Arrays:
    starts, lengths = array.array("Q"), array.array("Q")
    problems = []
    window = _REMOTE_WINDOW if path.startswith("gs://") else _LOCAL_WINDOW
    block, offset, start_of_block, reported = b"", 0, 0, 0
    while offset < num_bytes:
        place = offset - start_of_block
        if place + _LENGTH_AND_SUM.size > len(block):
            block, start_of_block, place = files.read_range(path, offset, window), offset, 0
        header = block[place : place + _LENGTH_AND_SUM.size]
        length, start = _length(header), offset + _LENGTH_AND_SUM.size
        if length is None or start + length + _FOOTER_BYTES > num_bytes:
            is_cut = length is not None or len(header) < _LENGTH_AND_SUM.size
            what = "the file ends within the record" if is_cut else "no length of a record"
            reason = Reason.TRUNCATED_SHARD if is_cut else Reason.BROKEN_RECORD
            detail = f"{what} at byte {offset}; {len(starts)} records before it"
            problems.append((reason, os.path.basename(path), detail))
            break
        starts.append(start)
        lengths.append(length)
        offset = start + length + _FOOTER_BYTES
        if len(starts) % _RECORDS_BETWEEN_REPORTS == 0:
            report(offset - reported)
            reported = offset
    return {
        "starts": smallest(np.asarray(starts)),
        "lengths": smallest(np.asarray(lengths)),
        file_indexes.PROBLEMS: file_indexes.problem_rows(problems),
    }


_KIND = Kind(name="records-1", scan=_scan)


def _length(header: bytes) -> int | None:
    """The length in a record's header; None if its sum is not right."""
    if len(header) < _LENGTH_AND_SUM.size:
        return None
    length, checksum = _LENGTH_AND_SUM.unpack(header)
    return int(length) if _masked_sum(header[:8]) == checksum else None


def _masked_sum(data: bytes) -> int:
    """CRC-32C, turned and shifted as TFRecord files have it."""
    rest = 0xFFFFFFFF
    for byte in data:
        rest = _TABLE[(rest ^ byte) & 0xFF] ^ (rest >> 8)
    rest ^= 0xFFFFFFFF
    return (((rest >> 15) | (rest << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def _remainder(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(_remainder(byte) for byte in range(256))
