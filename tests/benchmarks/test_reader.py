"""The comparison of readers: our side and the peers' pictures in this process. No timing."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks import our_reader, reader, reader_pictures, reader_process
from benchmarks.peers import pillow_pipeline
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import schema, vocabulary

WORLD = vocabulary.load("world")
SHAPE = (reader_process.BATCH_SIZE, reader_process.IMAGE_SIZE, reader_process.IMAGE_SIZE, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("pictures")
    assert [path.name for path in reader_pictures.write_shards(written, 45)] == ["0000.tar"]
    return written


def contents(folder: Path) -> dict[str, bytes]:
    with tarfile.open(folder / "0000.tar") as tar:
        files = {member.name: tar.extractfile(member) for member in tar}
        return {name: file.read() for name, file in files.items() if file is not None}


def test_pictures_are_as_large_as_photographs_and_differ(folder: Path) -> None:
    pictures = [data for name, data in contents(folder).items() if name.endswith(".jpg")]
    assert len(set(pictures)) == 45
    assert 60_000 < np.mean([len(data) for data in pictures]) < 90_000


def test_ours_gives_batches_of_the_agreed_shape(folder: Path) -> None:
    arguments = reader_process.Arguments(folder, WORLD.path, "threads", 1)
    pictures, texts = our_reader.make(arguments)()
    found = reader_process.describe(pictures, texts)
    assert tuple(found["pictures"]) == SHAPE and found["dtype"] == "uint8"
    assert found["texts"] == [reader_process.BATCH_SIZE, reader_process.TEXT_LENGTH]
    assert found["mean"] == pytest.approx(float(pictures.mean()), abs=1.0)
    assert 10 < found["tokens"] < reader_process.TEXT_LENGTH


def test_the_peers_do_the_same_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = reader_process.Arguments(folder, WORLD.path, "threads", 1)
    ours, texts = our_reader.make(arguments)()
    files = contents(folder)
    captions = {name: data for name, data in files.items() if name.endswith(".txt")}
    rows = {
        tuple(pillow_pipeline.text(data, str(WORLD.path))): name for name, data in captions.items()
    }
    monkeypatch.setattr(reader_process, "FLIP_PROBABILITY", 0.0)
    monkeypatch.setattr(reader_process, "BRIGHTNESS", 0.0)
    monkeypatch.setattr(reader_process, "CONTRAST", 0.0)
    random = np.random.default_rng(0)
    for row, picture_FHWC in zip(texts[:5], ours[:5, 0], strict=True):
        data = files[rows[tuple(row)].replace(".txt", ".jpg")]
        peer = pillow_pipeline.picture(data, random)
        assert peer.shape == SHAPE[1:] and peer.dtype == np.uint8
        # Ours was augmented: the same picture, flipped or not, with other brightness and contrast.
        plain = [peer[40:280], peer[40:280, ::-1]]
        correlations = [
            np.corrcoef(picture_FHWC[0, 40:280].ravel(), candidate.ravel())[0, 1]
            for candidate in plain
        ]
        assert max(correlations) > 0.97


def test_peers_augment_every_picture_anew(folder: Path) -> None:
    data = contents(folder)["000003.jpg"]
    random = np.random.default_rng(0)
    assert len({pillow_pipeline.picture(data, random).tobytes() for _ in range(5)}) == 5
    assert schema.EOS_ID in pillow_pipeline.text(b"A dog.", str(WORLD.path))


def test_processor_time_counts_the_processes_below() -> None:
    before = reader_process.cpu_seconds()
    program = "import time\nwhile time.process_time() < 0.4: pass\nprint(1, flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        running = reader_process.cpu_seconds()
        process.communicate(b"\n")
    assert 0.3 < running - before < 5.0
    assert reader_process.cpu_seconds() >= running - 0.1


def measured(per_second: list[float]) -> reader.Measured:
    return reader.Measured(
        pictures_per_second=per_second,
        pictures_per_cpu_second=[value / 2 for value in per_second],
        mean_pixel=120.0,
        mean_tokens=20.0,
    )


def test_the_report_compares_with_the_fastest_peer_round_by_round() -> None:
    names = list(reader.COMPETITORS)
    assert names[0] == reader.OURS
    text = reader.report(
        {
            names[0]: measured([300.0, 200.0, 400.0]),
            names[1]: measured([100.0, 100.0, 100.0]),
            names[2]: measured([150.0, 160.0, 160.0]),
            names[3]: measured([90.0, 90.0, 90.0]),
        }
    )
    # 2.0 is the median of 300/150, 200/160, 400/160.
    assert f"Ours reads 2.00 times as fast as the fastest peer ({names[2]})" in text
    assert re.search(r"webdataset, 2 workers \| 100 \| 3\.00 \(2\.50 to 3\.50\) \| 50 \|", text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"peer_python": None}, "--peer-python is None"),
        ({"peer_python": Path("/nowhere/python")}, "/nowhere/python"),
        ({"rounds": 0}, "--rounds is 0"),
        ({"batches": 0}, "--batches is 0"),
        ({"pictures": 3}, "--pictures is 3"),
    ],
)
def test_a_wrong_argument_is_an_error_that_names_it(arguments: dict, words: str) -> None:
    valid = {"peer_python": Path(sys.executable), "rounds": 1, "batches": 1, "pictures": 80}
    with pytest.raises(UserError, match=re.escape(words)):
        reader.run(argparse.Namespace(**valid | arguments))
