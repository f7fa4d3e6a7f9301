"""The order of a dataset: over hosts, across restarts, and around samples that are bad."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import mixtures, vocabulary
from flamingo_jax.data.bad_samples import BadSample, Reason, Tally
from flamingo_jax.data.sources import catalog
from flamingo_jax.data.sources.source import Content, RawExample, Source

WORLD = vocabulary.load("world")
B, SIZE, PIXELS = 8, 50, 4
Read = Callable[[int], RawExample]


def _numbered(index: int) -> RawExample:
    """A picture whose red says which example it is."""
    picture = np.zeros((1, PIXELS, PIXELS, 3), np.uint8)
    picture[..., 0] = index % 256
    return RawExample(chunks=("", f"number {index}"), media=(picture,))


@pytest.fixture
def dataset(monkeypatch: pytest.MonkeyPatch) -> Callable[..., DatasetConfig]:
    def make(read: Read = _numbered, size: int = SIZE, **fields: Any) -> DatasetConfig:
        def source(config: DatasetConfig) -> Source:
            return Source(
                name=config.source,
                content=Content.PAIR,
                read=read,
                num_examples=size,
                media_shape=(1, PIXELS, PIXELS),
                problems=fields.pop("problems", ()),
            )

        monkeypatch.setitem(catalog.SOURCES, "pairs/numbered", source)  # type: ignore[arg-type]
        sizes = {"batch_size": B, "loss_weight": 1.0, "max_text_length": 24}
        chosen = {name: value for name, value in fields.items() if name != "problems"}
        return DatasetConfig(**({"name": "mine", "source": "pairs/numbered"} | sizes | chosen))

    return make


def _take(dataset: DatasetConfig, count: int, start: int = 0, **how: Any) -> list[mixtures.Batch]:
    found = mixtures.batches(dataset, WORLD, "flamingo", start, **how)
    return [batch for batch, _ in itertools.islice(found, count)]


def _numbers(batches: list[mixtures.Batch]) -> list[int]:
    return [int(n) for batch in batches for n in batch["media"][:, 0, 0, 0, 0, 0]]


def test_an_epoch_has_every_example_once(dataset: Callable[..., DatasetConfig]) -> None:
    numbers = _numbers(_take(dataset(size=40), 10))
    assert sorted(numbers[:40]) == sorted(numbers[40:]) == list(range(40))
    assert numbers[:40] != numbers[40:]
    assert numbers[:40] != list(range(40))


def test_files_in_their_order(dataset: Callable[..., DatasetConfig]) -> None:
    numbers = _numbers(_take(dataset(size=20, shuffle=False), 5))
    assert numbers == [*range(20), *range(20)]


@pytest.mark.parametrize("num_hosts", [2, 4])
@pytest.mark.parametrize("stopped_after", [0, 1, 5])
def test_any_number_of_hosts_goes_on_with_the_same_global_batches(
    dataset: Callable[..., DatasetConfig], num_hosts: int, stopped_after: int
) -> None:
    whole = _take(dataset(), 9)
    part = B // num_hosts
    hosts = [
        _take(
            dataset(),
            9 - stopped_after,
            start=stopped_after * B,
            rows=range(host * part, (host + 1) * part),
            num_threads=3,
        )
        for host in range(num_hosts)
    ]
    for step, expected in enumerate(whole[stopped_after:]):
        parts = [host[step] for host in hosts]
        assert {len(batch["text"]) for batch in parts} == {part}
        for key, array in expected.items():
            assert np.array_equal(np.concatenate([batch[key] for batch in parts]), array)


def test_a_million_samples_are_skipped_at_once(dataset: Callable[..., DatasetConfig]) -> None:
    size = 10**9
    _take(dataset(size=size), 1)  # what is loaded once
    start = time.monotonic()
    (batch,) = _take(dataset(size=size), 1, start=10**6)
    assert time.monotonic() - start < 5
    assert batch["text"].any()


def _some_bad(index: int) -> RawExample:
    if index % 5 == 0:
        raise BadSample(Reason.EMPTY_FILE, f"0.tar: {index}")
    return _numbered(index)


def test_a_bad_example_is_counted_and_replaced(dataset: Callable[..., DatasetConfig]) -> None:
    tally = Tally("mine", 1.0)
    good = _numbers(_take(dataset(), 6))[:48]
    numbers = _numbers(_take(dataset(read=_some_bad), 6, tally=tally))[:48]
    assert all(
        number == before if before % 5 else number % 5
        for number, before in zip(numbers, good, strict=True)
    )
    num_bad = sum(number % 5 == 0 for number in good)
    counts = tally.metrics()
    # More are read ahead, and a substitute may be bad as well.
    assert counts["data/mine/refused/empty_file"] >= num_bad > 5
    assert counts["data/mine/read"] >= 48 + num_bad


def test_substitutes_do_not_depend_on_hosts_or_restarts(
    dataset: Callable[..., DatasetConfig],
) -> None:
    config = dataset(read=_some_bad, max_bad_share=1.0)
    whole = _numbers(_take(config, 6))
    halves = [
        _take(config, 3, start=3 * B, rows=rows) for rows in (range(B // 2), range(B // 2, B))
    ]
    merged = [_numbers([a]) + _numbers([b]) for a, b in zip(*halves, strict=True)]
    assert sum(merged, []) == whole[3 * B :]


def test_too_many_bad_examples_end_the_run_in_one_line(
    dataset: Callable[..., DatasetConfig],
) -> None:
    config = dataset(read=_some_bad, size=1000, max_bad_share=0.1)
    with pytest.raises(UserError, match=r"dataset 'mine': \d+ of \d+ examples are bad \(empty_fi"):
        _take(config, 100)


def test_nothing_but_bad_examples(dataset: Callable[..., DatasetConfig]) -> None:
    def read(index: int) -> RawExample:
        raise BadSample(Reason.NO_IMAGE, f"line {index}")

    with pytest.raises(UserError, match="1000 examples in turn cannot be read"):
        _take(dataset(read=read, max_bad_share=1.0), 1)


def test_a_bug_in_a_source_is_shown_as_it_is(dataset: Callable[..., DatasetConfig]) -> None:
    def read(index: int) -> RawExample:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        _take(dataset(read=read), 1)


def test_problems_found_at_opening_are_counted(dataset: Callable[..., DatasetConfig]) -> None:
    tally = Tally("mine", 0.1)
    problem = BadSample(Reason.MISSING_SHARD, "0007.tar")
    # MMC4 lacks 14 of its shards: that is no share of the examples.
    _take(dataset(problems=(problem,) * 14), 1, tally=tally)
    assert tally.metrics()["data/mine/refused/missing_shard"] == 14


def test_an_example_without_a_scored_token_is_refused(
    dataset: Callable[..., DatasetConfig],
) -> None:
    """The reader's guard against a batch of nothing to learn (a loss of 0 / 0)."""

    def read(index: int) -> RawExample:
        before = "word " * 30 if index % 10 == 0 else ""
        return RawExample(chunks=(before, f"number {index}"), media=_numbered(index).media)

    tally = Tally("mine", 1.0)
    config = dataset(read=read, scored="after_first_image")
    batches = _take(config, 7, tally=tally)
    assert all((batch["loss_weight"].sum(1) > 0).all() for batch in batches)
    assert tally.metrics()["data/mine/refused/no_text_after_image"] > 2


def test_a_process_ends_with_its_readers_open(tmp_path: Path) -> None:
    """Threads of TensorFlow that wait for a Python that is gone would keep it for ever."""
    script = """
import sys
from flamingo_jax.data import mixtures, vocabulary
from tests.data.test_bad_files import make_dataset, write_shard, GOOD
from pathlib import Path

folder = Path(sys.argv[1])
write_shard(folder / "0.tar", {str(n): {"jpg": GOOD, "txt": b"a cat"} for n in range(50)})
dataset = make_dataset(folder, "pairs/webdataset", ("0.tar",), batch_size=8)
batches = mixtures.batches(dataset, vocabulary.load("world"), "flamingo", num_threads=2)
next(batches)
print("made a batch")
"""
    repository = Path(__file__).resolve().parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=repository, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "made a batch\n"
