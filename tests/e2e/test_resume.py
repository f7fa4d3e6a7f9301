"""A Flamingo run that is killed and started again is the run that nobody killed, bit for bit.

Every run is a process of its own, `python -m flamingo_jax.train`, on all four datasets. The frozen
parts come from run folders with random weights: what they are does not matter here.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests.e2e import tiny_run

STEPS = 6
KILLED_AT = 3
TIMEOUT_SECONDS = 400
CADENCE = {"checkpoint.every_steps": KILLED_AT}
FINISHED = CADENCE | {"steps": STEPS}
ENDLESS = CADENCE | {"steps": 100_000, "checkpoint.keep": 100_000}
"""Number of steps and checkpoints alone may differ between a run and the one that goes on."""


@pytest.fixture(scope="module")
def frozen_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workdir with the two stages before Flamingo."""
    workdir = tmp_path_factory.mktemp("frozen_parts")
    for stage in ("contrastive", "language_model"):
        tiny_run.write_untrained_stage(workdir, tiny_run.make_config(stage))
    return workdir


def train(workdir: Path, frozen_parts: Path, more: tiny_run.Overrides) -> subprocess.Popen[str]:
    parts = {
        f"frozen.{part}": str(frozen_parts / stage)
        for part, stage in (("vision_encoder", "contrastive"), ("language_model",) * 2)
    }
    return subprocess.Popen(
        tiny_run.command("flamingo", workdir, {**parts, **more}),
        cwd=tiny_run.REPOSITORY,
        env=tiny_run.environment(compiled=frozen_parts / "compiled"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Waits for a run to end well; returns what it printed."""
    printed, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert process.returncode == 0, printed
    return printed


def kill_at_checkpoint(process: subprocess.Popen[str], checkpoint: Path) -> None:
    """Kills a run, without a warning, as soon as it has saved `checkpoint`."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not checkpoint.is_dir() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    printed, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, printed
    assert checkpoint.is_dir(), printed


def test_six_steps_equal_three_then_kill_then_three(tmp_path: Path, frozen_parts: Path) -> None:
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    finish(train(unbroken, frozen_parts, FINISHED))

    checkpoints = broken / "flamingo" / "checkpoints"
    kill_at_checkpoint(train(broken, frozen_parts, ENDLESS), checkpoints / str(KILLED_AT))
    # The run may have come further before the signal reached it; then it is as if it had not.
    for folder in checkpoints.glob("[0-9]*"):
        if folder.name != str(KILLED_AT):
            shutil.rmtree(folder)
    printed = finish(train(broken, frozen_parts, FINISHED))
    assert f"resuming at step {KILLED_AT} of {STEPS}" in printed

    config = tiny_run.make_config("flamingo", FINISHED)
    state, metadata = tiny_run.saved_state(unbroken, config, STEPS)
    other_state, other_metadata = tiny_run.saved_state(broken, config, STEPS)
    assert state.keys() == other_state.keys()
    assert any("optimizer_state" in path for path in state)
    for path, array in state.items():
        assert array.dtype == other_state[path].dtype
        np.testing.assert_array_equal(array, other_state[path], err_msg=path)
    positions = {dataset.name: STEPS * dataset.batch_size for dataset in config.data}
    assert metadata["data"] == other_metadata["data"] == positions
    assert metadata == other_metadata

    rows = tiny_run.metric_rows(unbroken, "flamingo")
    assert rows == tiny_run.metric_rows(broken, "flamingo")
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    # A run whose steps do nothing, or see the same data each time, would pass all of the above.
    assert len({json.dumps(row["loss/pages"]) for row in rows}) == STEPS
