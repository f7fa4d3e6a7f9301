"""Metrics from the device to the log, one step late, so that the loop never waits for them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.core.metric_writers import MetricWriter, Progress

HostMetrics = Callable[[], Mapping[str, float]]

_GRADIENT_NORM = "gradient_norm"


class MetricsLog:
    """Checks every step's loss, and writes every n-th step's metrics.

    Reading a value from the device waits for the step that computes it. `push` reads those of the
    step before, while the one that was just dispatched runs.
    """

    def __init__(
        self,
        folder: Path,
        *,
        start_step: int,
        total_steps: int,
        every_steps: int,
        datasets: Sequence[DatasetConfig],
        host_metrics: HostMetrics = dict,
    ) -> None:
        """Opens the log.

        Args:
          folder: of the stage's run; `metrics.jsonl` and event files are written there.
          start_step: steps that are done already; rows of later steps are cut off.
          total_steps: steps of the whole run.
          every_steps: steps between two written rows; the last step is written too.
          datasets: whose losses to show, in this order. Of one that the step did not visit it is
            the loss of its last turn.
          host_metrics: what is known without the device, such as counts of bad samples; asked for
            when a row is written.
        """
        self._writer = MetricWriter(folder, start_step)
        self._progress = Progress(total_steps, start_step)
        self._total_steps = total_steps
        self._every_steps = every_steps
        self._host_metrics = host_metrics
        self._batch_sizes = {dataset.name: dataset.batch_size for dataset in datasets}
        self._losses: dict[str, float] = {}
        self._examples_of_row = 0
        self._pending: tuple[int, Mapping[str, jax.Array]] | None = None
        self._row_time = time.monotonic()

    def push(self, step: int, metrics: Mapping[str, jax.Array]) -> None:
        """Takes the metrics of the step just dispatched and handles those of the step before.

        Raises:
          UserError: the loss or gradient of the step before is not finite.
        """
        before, self._pending = self._pending, (step, metrics)
        if before is not None:
            self._handle(*before)

    def drain(self) -> None:
        """Handles the metrics of the last step too; waits for it. Due before a state is saved.

        Raises:
          UserError: its loss or gradient is not finite.
        """
        before, self._pending = self._pending, None
        if before is not None:
            self._handle(*before)

    def close(self) -> None:
        """Closes the files and ends the progress line."""
        self._progress.close()
        self._writer.close()

    def _handle(self, step: int, metrics: Mapping[str, jax.Array]) -> None:
        values = scalars(jax.device_get(dict(metrics)))
        check_finite(step, values)
        visited = [name for name in self._batch_sizes if f"loss/{name}" in values]
        num_examples = sum(self._batch_sizes[name] for name in visited)
        self._losses |= {name: values[f"loss/{name}"] for name in visited}
        losses = {name: self._losses[name] for name in self._batch_sizes if name in self._losses}
        self._progress.update(step, losses, num_examples)
        self._examples_of_row += num_examples
        if step % self._every_steps == 0 or step == self._total_steps:
            now = time.monotonic()
            values["examples_per_second"] = self._examples_of_row / max(now - self._row_time, 1e-9)
            values |= {f"loss/{name}": loss for name, loss in losses.items()}
            self._examples_of_row, self._row_time = 0, now
            self._writer.write(step, values | dict(self._host_metrics()))


def scalars(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as Python floats; element i of an array becomes "<name>/<i>"."""
    values: dict[str, float] = {}
    for name, array in metrics.items():
        array = np.asarray(array, np.float32)
        if array.ndim == 0:
            values[name] = float(array)
        else:
            values |= {f"{name}/{i}": float(value) for i, value in enumerate(array.ravel())}
    return values


def check_finite(step: int, values: Mapping[str, float]) -> None:
    """Stops a run whose loss or gradient is NaN or infinite.

    Raises:
      UserError: names the first such value and the step.
    """
    losses = [name for name in values if name.startswith("loss/")]
    for name in [*losses, _GRADIENT_NORM]:
        value = values[name]
        if not math.isfinite(value):
            raise UserError(
                f"{name} is {value} at step {step}: the run has diverged and this state is not"
                " saved; lower config.optimizer.learning_rate, or look at the data of this step"
            )
