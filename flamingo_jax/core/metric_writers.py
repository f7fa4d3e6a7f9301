"""What a run reports: metrics as JSON lines and TensorBoard events, progress to the terminal."""

from __future__ import annotations

import collections
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

from clu import metric_writers as clu_writers

from flamingo_jax.core.files import prepare_folder, write_atomic

METRICS_NAME = "metrics.jsonl"

_RATE_WINDOW_SECONDS = 30.0
_SECONDS_BETWEEN_LINES = 5.0
_SECONDS_BETWEEN_REDRAWS = 0.1


class MetricWriter:
    """Writes the metrics of a run to `metrics.jsonl` and to TensorBoard event files.

    A row of `metrics.jsonl` is `{"step": int, name: float, ...}`; a value that is not finite is
    null. Each row is on disk when `write` returns, so a killed run loses none.
    """

    def __init__(self, folder: str | os.PathLike[str], start_step: int) -> None:
        """Opens the files for appending.

        Args:
          folder: the run's folder; made if missing.
          start_step: the step that the run goes on from, 0 for a new one. Rows of later steps are
            cut off: the run comes by those steps again. TensorBoard does the same by itself when
            it sees a new event file with earlier steps.

        Raises:
          UserError: the folder is not writable.
        """
        self._path = prepare_folder(folder) / METRICS_NAME
        _cut_off(self._path, start_step)
        self._rows = self._path.open("a", encoding="utf-8")
        self._events = clu_writers.SummaryWriter(str(self._path.parent))

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes one row.

        Args:
          step: the number of updates made when the metrics were taken.
          metrics: `{name: scalar}`; a slash in a name groups it in TensorBoard.
        """
        values = {name: float(value) for name, value in metrics.items()}
        row = {name: value if math.isfinite(value) else None for name, value in values.items()}
        self._rows.write(json.dumps({"step": step, **row}) + "\n")
        self._rows.flush()
        self._events.write_scalars(step, values)

    def close(self) -> None:
        """Flushes and closes the files."""
        self._rows.close()
        self._events.flush()
        self._events.close()


def _cut_off(path: Path, start_step: int) -> None:
    """Keeps the whole rows of steps up to `start_step`; a run that starts at 0 has none."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            step = json.loads(line)["step"]
        except (ValueError, KeyError, TypeError):
            continue  # the row that a killed run was writing
        if step <= start_step and start_step > 0:
            kept.append(line + "\n")
    write_atomic(path, "".join(kept))


class Progress:
    """One progress line: step, loss of each dataset, examples per second, time left.

    On a terminal the line is drawn in place; elsewhere (a log file, a pipe) a line is printed every
    few seconds. The rate is that of the last half minute, and leaves out the first step, which
    compiles.
    """

    def __init__(
        self,
        total_steps: int,
        start_step: int,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prints nothing yet.

        Args:
          total_steps: the step at which the run ends.
          start_step: the step that it goes on from.
          stream: where to print; standard output by default.
          clock: seconds, for tests.
        """
        self._total_steps = total_steps
        self._stream = sys.stdout if stream is None else stream
        self._in_place = self._stream.isatty()
        self._clock = clock
        self._step = start_step
        self._examples = 0
        # (time, step, examples so far) of the updates within the rate window.
        self._window: collections.deque[tuple[float, int, int]] = collections.deque()
        self._printed_at = -math.inf
        self._line_width = 0

    def update(self, step: int, losses: Mapping[str, float], examples: int) -> None:
        """Tells of a finished step.

        Args:
          step: the number of updates made so far.
          losses: `{dataset: mean loss}` of this step.
          examples: how many examples went into the model since the update before.
        """
        now = self._clock()
        self._step = step
        self._examples += examples
        self._window.append((now, step, self._examples))
        while len(self._window) > 2 and now - self._window[1][0] > _RATE_WINDOW_SECONDS:
            self._window.popleft()
        pause = _SECONDS_BETWEEN_REDRAWS if self._in_place else _SECONDS_BETWEEN_LINES
        if step < self._total_steps and now - self._printed_at < pause:
            return
        self._printed_at = now
        self._print(self._line(losses))
        if step >= self._total_steps:
            self.close()

    def close(self) -> None:
        """Ends the line that is drawn in place; call it before printing anything else."""
        if self._line_width:
            self._stream.write("\n")
            self._stream.flush()
            self._line_width = 0

    def _line(self, losses: Mapping[str, float]) -> str:
        digits = len(str(self._total_steps))
        parts = [f"step {self._step:{digits}d}/{self._total_steps}"]
        if losses:
            parts.append("loss " + " ".join(f"{name} {loss:.4f}" for name, loss in losses.items()))
        first_time, first_step, first_examples = self._window[0]
        last_time, last_step, last_examples = self._window[-1]
        seconds = last_time - first_time
        if seconds > 0 and last_step > first_step:
            parts.append(f"{(last_examples - first_examples) / seconds:.0f} examples/s")
            left = (self._total_steps - last_step) * seconds / (last_step - first_step)
            parts.append(f"{_duration(left)} left")
        return " | ".join(parts)

    def _print(self, line: str) -> None:
        if self._in_place:
            self._stream.write("\r" + line.ljust(self._line_width))
            self._line_width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()


def _duration(seconds: float) -> str:
    """Seconds as "45s", "3m 05s" or "2h 07m"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
