"""Metric rows, TensorBoard events, the progress line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from flamingo_jax.core.errors import UserError
from flamingo_jax.core.metric_writers import MetricWriter, Progress


def _rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_rows_and_events_hold_the_same_numbers(tmp_path: Path) -> None:
    writer = MetricWriter(tmp_path / "run", start_step=0)
    writer.write(1, {"loss/pages": np.float32(2.5), "gate": 0.25})
    assert _rows(tmp_path / "run") == [{"step": 1, "loss/pages": 2.5, "gate": 0.25}]
    writer.write(2, {"loss/pages": 1.5, "gate": float("nan")})
    writer.close()
    assert _rows(tmp_path / "run")[1] == {"step": 2, "loss/pages": 1.5, "gate": None}

    events = {}
    (path,) = (tmp_path / "run").glob("events.out.tfevents.*")
    for event in tf.compat.v1.train.summary_iterator(str(path)):
        for value in event.summary.value:
            events[event.step, value.tag] = float(tf.make_ndarray(value.tensor))
    assert events[1, "loss/pages"] == 2.5
    assert events[2, "loss/pages"] == 1.5
    assert events[1, "gate"] == 0.25


def test_resume_cuts_off_later_steps_and_a_torn_row(tmp_path: Path) -> None:
    writer = MetricWriter(tmp_path, start_step=0)
    for step in (1, 2, 3, 4):
        writer.write(step, {"loss": float(step)})
    writer.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')
    resumed = MetricWriter(tmp_path, start_step=2)
    resumed.write(3, {"loss": 30.0})
    resumed.close()
    assert [(row["step"], row["loss"]) for row in _rows(tmp_path)] == [(1, 1), (2, 2), (3, 30)]
    MetricWriter(tmp_path, start_step=0).close()
    assert _rows(tmp_path) == []


def test_unwritable_folder_is_a_user_error() -> None:
    with pytest.raises(UserError, match="cannot write"):
        MetricWriter("/proc/no_such_folder", start_step=0)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_progress_in_a_log_prints_every_few_seconds_and_the_last_step() -> None:
    stream, clock = io.StringIO(), _Clock()
    progress = Progress(total_steps=200, start_step=100, stream=stream, clock=clock)
    for step in range(101, 201):
        clock.seconds += 1.0
        progress.update(step, {"pages": 2.0, "clips": 1.25}, examples=32)
    lines = stream.getvalue().splitlines()
    # The first update has no rate yet; then a line every 5 seconds; then the last.
    assert lines[0] == "step 101/200 | loss pages 2.0000 clips 1.2500"
    assert lines[1] == "step 106/200 | loss pages 2.0000 clips 1.2500 | 32 examples/s | 1m 34s left"
    assert lines[-1].startswith("step 200/200")
    assert lines[-1].endswith("| 0s left")
    assert len(lines) == 1 + 19 + 1


def test_progress_forgets_the_slow_start() -> None:
    stream, clock = io.StringIO(), _Clock()
    progress = Progress(total_steps=1000, start_step=0, stream=stream, clock=clock)
    clock.seconds += 60.0  # compiling
    progress.update(1, {}, examples=8)
    for step in range(2, 200):
        clock.seconds += 10.0 if step < 20 else 0.5
        progress.update(step, {}, examples=8)
    assert "| 16 examples/s | 6m" in stream.getvalue().splitlines()[-1]


def test_progress_on_a_terminal_redraws_one_line() -> None:
    stream, clock = _Terminal(), _Clock()
    progress = Progress(total_steps=3, start_step=0, stream=stream, clock=clock)
    progress.update(1, {"pages": 10.5}, examples=1)
    clock.seconds += 0.01
    progress.update(2, {"pages": 9.5}, examples=1)
    clock.seconds += 3600.0
    progress.update(3, {}, examples=1)
    drawn = stream.getvalue()
    assert drawn.count("\r") == 2
    assert drawn.count("\n") == 1
    assert drawn.endswith("\n")
    assert "9.5" not in drawn  # redrawn at most ten times a second
    assert len(drawn.split("\r")[2].rstrip("\n")) >= len(drawn.split("\r")[1])
