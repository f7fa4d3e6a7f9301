"""Tests of the loop with a toy stage: resume bit for bit, signals, divergence, what is printed."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from flamingo_jax.checkpoint.checkpointer import Checkpointer
from flamingo_jax.config import MeshConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.sharding.mesh import make_mesh
from flamingo_jax.training import compiled_step, loop
from flamingo_jax.training.optimizer import make_optimizer
from flamingo_jax.training.state import without_frozen
from tests.training import toy

REPOSITORY = Path(__file__).parents[2]


def final_state(workdir: Path, step: int) -> tuple[list[np.ndarray], dict[str, Any]]:
    """All arrays of a checkpoint, in the order of the state, and its metadata."""
    config = toy.make_config()
    optimizer = make_optimizer(config.optimizer, config.steps)
    abstract = compiled_step.abstract_state(
        toy.make_stage(config.data), optimizer, config.seed, make_mesh(MeshConfig())
    )
    with Checkpointer(workdir / "flamingo" / "checkpoints", keep=3) as checkpoints:
        state, metadata = checkpoints.restore(step, without_frozen(abstract))
    state = dataclasses.replace(state, rng=jax.random.key_data(state.rng))
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)], metadata


def metrics(workdir: Path) -> list[dict[str, float]]:
    """Rows of metrics.jsonl without those that depend on the clock."""
    lines = (workdir / "flamingo" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [
        {
            key: value
            for key, value in row.items()
            if key != "examples_per_second" and not key.startswith("data/")
        }
        for row in rows
    ]


def assert_same_run(one: Path, other: Path) -> None:
    arrays, metadata = final_state(one, 6)
    other_arrays, other_metadata = final_state(other, 6)
    assert len(arrays) == len(other_arrays)
    for array, other_array in zip(arrays, other_arrays, strict=True):
        np.testing.assert_array_equal(array, other_array)
    assert metadata["data"] == other_metadata["data"] == {"pages": 6, "noisy_pairs": 6}
    assert metadata["frozen"] == other_metadata["frozen"]
    assert metrics(one) == metrics(other)
    assert [row["step"] for row in metrics(one)] == [1, 2, 3, 4, 5, 6]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workdir = tmp_path_factory.mktemp("unbroken")
    assert toy.run(workdir, toy.make_config()) == 0
    return workdir


def test_six_steps_equal_three_then_kill_then_three(unbroken: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.training.toy", str(tmp_path), "3"]
    killed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert toy.run(tmp_path, toy.make_config()) == 0
    assert_same_run(unbroken, tmp_path)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 42), (signal.SIGINT, 130)])
def test_signal_saves_the_running_step_and_resume_is_exact(
    unbroken: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    number: int,
    code: int,
) -> None:
    def signalling(start: int, *, rows: range) -> Iterator[Any]:
        for item in toy.open_dataset("pages", start, rows=rows):
            if item[1] == 4:
                os.kill(os.getpid(), number)
            yield item

    before = signal.getsignal(number)
    config = toy.make_config(checkpoint__every_steps=100)
    assert toy.run(tmp_path, config, pages=signalling) == code
    assert signal.getsignal(number) == before
    with Checkpointer(tmp_path / "flamingo" / "checkpoints", keep=3) as checkpoints:
        step = checkpoints.latest()
        assert step is not None
        assert step < 6
        # The positions are those of the steps made, not of the batches read ahead.
        assert checkpoints.metadata(step)["data"] == {"pages": step, "noisy_pairs": step}

    capsys.readouterr()
    assert toy.run(tmp_path, toy.make_config()) == 0
    printed = capsys.readouterr().out
    assert f"resuming at step {step} of 6" in printed
    assert f"data positions: pages {step}, noisy_pairs {step}" in printed
    assert_same_run(unbroken, tmp_path)


def test_learning_rate_is_that_of_each_update(unbroken: Path) -> None:
    rates = [row["learning_rate"] for row in metrics(unbroken)]
    np.testing.assert_allclose(rates, [0.025] + 5 * [0.05], rtol=1e-6)


def test_total_is_the_sum_weighted_by_lambda(unbroken: Path) -> None:
    for row in metrics(unbroken):
        total = 1.0 * row["loss/pages"] + 0.2 * row["loss/noisy_pairs"]
        assert row["loss/total"] == pytest.approx(total, rel=1e-6)


def test_finished_run_says_so_and_touches_nothing(
    unbroken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = metrics(unbroken)
    capsys.readouterr()

    def fail(*arguments: object) -> Any:
        raise AssertionError("a finished run must not start anything")

    config = toy.make_config()
    stage = dataclasses.replace(toy.make_stage(config.data), init=fail, make_step=fail)
    assert loop.train(config, unbroken, stage, dict.fromkeys(["pages", "noisy_pairs"], fail)) == 0
    assert "finished at step 6 of 6" in capsys.readouterr().out
    assert metrics(unbroken) == before


def test_more_steps_go_on_from_a_finished_run(unbroken: Path, tmp_path: Path) -> None:
    assert toy.run(tmp_path, toy.make_config(steps=3)) == 0
    assert toy.run(tmp_path, toy.make_config(steps=6)) == 0
    for array, other in zip(final_state(unbroken, 6)[0], final_state(tmp_path, 6)[0], strict=True):
        np.testing.assert_array_equal(array, other)


def test_number_of_steps_is_fixed_where_the_schedule_follows_from_it(tmp_path: Path) -> None:
    assert toy.run(tmp_path, toy.make_config(steps=3, optimizer__schedule="linear")) == 0
    with pytest.raises(UserError, match="'steps' was 3 .* is 6 now"):
        toy.run(tmp_path, toy.make_config(steps=6, optimizer__schedule="linear"))


def test_other_config_is_refused_by_field(tmp_path: Path) -> None:
    assert toy.run(tmp_path, toy.make_config(steps=3)) == 0
    with pytest.raises(UserError, match=r"'optimizer\.learning_rate' was 0\.05 .* is 0\.1 now"):
        toy.run(tmp_path, toy.make_config(optimizer__learning_rate=0.1))


def test_diverged_state_is_never_saved(tmp_path: Path) -> None:
    def poisoned(start: int, *, rows: range) -> Iterator[Any]:
        for batch, position in toy.open_dataset("pages", start, rows=rows):
            if position == 4:
                batch["x"][0, 0] = np.nan
            yield batch, position

    with pytest.raises(UserError, match="loss/pages is nan at step 4.*learning_rate"):
        toy.run(tmp_path, toy.make_config(checkpoint__every_steps=1), pages=poisoned)
    with Checkpointer(tmp_path / "flamingo" / "checkpoints", keep=3) as checkpoints:
        assert checkpoints.latest() == 3


def test_frozen_tree_is_stored_once_and_never_changes(unbroken: Path, tmp_path: Path) -> None:
    hashes = [path.name for path in (unbroken / "frozen").iterdir()]
    assert hashes == [final_state(unbroken, 6)[1]["frozen"]]
    # The frozen tree is no part of the checkpoints' state: a resumed run needs that folder alone.
    assert toy.run(tmp_path, toy.make_config(steps=3)) == 0

    def fail(abstract: object) -> Any:
        raise AssertionError("a resumed run loads by hash")

    config = toy.make_config()
    stage = dataclasses.replace(toy.make_stage(config.data), load_parameters=fail)
    assert loop.train(config, tmp_path, stage, toy.make_datasets(config)) == 0
    assert [path.name for path in (tmp_path / "frozen").iterdir()] == hashes


def test_stored_trainable_parameters_take_the_place_of_initial_ones(tmp_path: Path) -> None:
    config = toy.make_config(steps=1, optimizer__learning_rate=1e-9)
    stored = np.full((4, 3), 0.5, np.float32)

    def load(abstract: Any) -> Any:
        return toy.frozen_values(abstract) | {"resampler/b": {"w": jax.numpy.asarray(stored)}}

    stage = dataclasses.replace(toy.make_stage(config.data), load_parameters=load)
    assert loop.train(config, tmp_path, stage, toy.make_datasets(config)) == 0
    arrays, _ = final_state(tmp_path, 1)
    assert any(array.shape == (4, 3) and np.allclose(array, 0.5) for array in arrays)


def test_config_is_written_to_the_run_folder(unbroken: Path) -> None:
    from flamingo_jax.config import from_json

    folder = unbroken / "flamingo"
    assert from_json((folder / "config.json").read_text()) == toy.make_config()
    assert "config.steps = 6\n" in (folder / "config.txt").read_text()


def test_workdir_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write in folder"):
        toy.run(tmp_path / "file" / "run", toy.make_config())


def test_dataset_that_ends_is_named(tmp_path: Path) -> None:
    def short(start: int, *, rows: range) -> Iterator[Any]:
        yield from [(toy.batch_at("pages", start), start + 1)]

    with pytest.raises(UserError, match="dataset 'pages' ended"):
        toy.run(tmp_path, toy.make_config(), pages=short)


def test_datasets_may_take_turns_and_a_run_goes_on_with_the_next_one(tmp_path: Path) -> None:
    fields = {"round_robin": True, "checkpoint__every_steps": 3, "log_every_steps": 1}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert toy.run(whole, toy.make_config(**fields)) == 0
    assert toy.run(parts, toy.make_config(steps=3, **fields)) == 0
    assert toy.run(parts, toy.make_config(**fields)) == 0
    arrays, metadata = final_state(whole, 6)
    other_arrays, other_metadata = final_state(parts, 6)
    # Six steps of two datasets: three turns each.
    assert metadata["data"] == other_metadata["data"] == {"pages": 3, "noisy_pairs": 3}
    for array, other in zip(arrays, other_arrays, strict=True):
        np.testing.assert_array_equal(array, other)
    rows = metrics(whole)
    assert "loss/noisy_pairs" not in rows[0]
    # The loss of a dataset that has no turn is that of its last one.
    assert rows[1]["loss/pages"] == rows[0]["loss/pages"]
    assert rows[2]["loss/noisy_pairs"] == rows[1]["loss/noisy_pairs"]
    assert rows[2]["loss/pages"] != rows[1]["loss/pages"]
    # A step of one dataset is not a step of both.
    both = tmp_path / "both"
    assert toy.run(both, toy.make_config(log_every_steps=1)) == 0
    assert metrics(both)[1]["loss/pages"] != rows[2]["loss/pages"]
