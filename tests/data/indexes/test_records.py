"""Records of TFRecord files by number, held against TensorFlow's own reader and writer."""

from __future__ import annotations

import concurrent.futures
import itertools
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.indexes.records import RecordIndex, open_record_index
from tests.data.buckets import BUCKET, bucket_in

FIELD = "config.data[a].paths"
RECORDS = [[b"", b"a", b"b" * 1000], [b"\0\xff" * n for n in range(200)]]
HEADER, FOOTER = 12, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two files of records."""
    import tensorflow as tf

    path = tmp_path_factory.mktemp("records")
    for number, records in enumerate(RECORDS):
        with tf.io.TFRecordWriter(str(path / f"a-0000{number}")) as writer:
            for record in records:
                writer.write(record)
    return path


def _open(indexes: Path, *paths: Path) -> RecordIndex:
    return open_record_index([str(path) for path in paths], str(indexes), FIELD)


def test_records_from_many_threads(folder: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    paths = [folder / "a-00000", folder / "a-00001"]
    expected = [*tf.data.TFRecordDataset([str(path) for path in paths]).as_numpy_iterator()]
    assert expected == list(itertools.chain(*RECORDS))
    for _ in range(2):
        index = _open(tmp_path, *paths)
        assert index.num_records == len(expected) and index.problems == ()
        numbers = [(5 * n) % len(expected) for n in range(3000)]
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            assert list(threads.map(index.read, numbers)) == [expected[n] for n in numbers]
    assert index.name(4) == "a-00001: record 1"
    for n in (-1, len(expected)):
        with pytest.raises(IndexError):
            index.read(n)


def test_every_cut_leaves_the_whole_records(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "a-00000").read_bytes()
    sizes = [HEADER + len(record) + FOOTER for record in RECORDS[0]]
    ends = list(itertools.accumulate(sizes))
    assert ends[-1] == len(whole)
    for cut in [*range(ends[1] + 20), ends[1] + 500, ends[2] - 1]:
        path = tmp_path / "cut"
        path.write_bytes(whole[:cut])
        expected = [record for record, end in zip(RECORDS[0], ends, strict=True) if end <= cut]
        if not expected:
            with pytest.raises(UserError, match="no record"):
                _open(tmp_path / "indexes", path)
            continue
        index = _open(tmp_path / "indexes", path)
        assert [index.read(n) for n in range(index.num_records)] == expected, cut
        reasons = [problem.reason for problem in index.problems]
        assert reasons == ([] if cut in ends else [Reason.TRUNCATED_SHARD]), cut


def test_overwritten_lengths_end_the_file(folder: Path, tmp_path: Path) -> None:
    content = bytearray((folder / "a-00000").read_bytes())
    for place in (0, 8):
        broken = content.copy()
        broken[HEADER + FOOTER + place] ^= 1  # in the header of the second record
        (tmp_path / "broken").write_bytes(broken)
        index = _open(tmp_path / "indexes", tmp_path / "broken")
        assert index.num_records == 1
        (problem,) = index.problems
        assert problem.reason is Reason.BROKEN_RECORD and "byte 16; 1 records" in str(problem)


def test_files_that_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"no records, but text")
    (tmp_path / "packed").write_bytes(b"\x1f\x8b\x08" + bytes(20))
    with pytest.raises(
        UserError, match=r"config.data\[a\].paths: no record.*no length of a record"
    ):
        _open(tmp_path, tmp_path / "text")
    with pytest.raises(UserError, match="compressed"):
        _open(tmp_path, tmp_path / "packed")
    index = _open(tmp_path, folder / "a-00000", tmp_path / "gone")
    assert [problem.reason for problem in index.problems] == [Reason.MISSING_SHARD]


def test_a_file_that_changed_is_a_bad_sample(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes((folder / "a-00000").read_bytes())
    index = _open(tmp_path / "indexes", path)
    with path.open("r+b") as file:
        file.write(bytes(100))
    with pytest.raises(BadSample, match="changed after it was indexed"):
        index.read(1)


def test_records_of_a_bucket(folder: Path, tmp_path: Path) -> None:
    with bucket_in(folder):
        index = open_record_index([f"{BUCKET}/a-00001"], str(tmp_path), FIELD)
        assert [index.read(n) for n in range(200)] == RECORDS[1]
