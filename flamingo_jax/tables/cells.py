"""From result lines to the cells that tables and plots show."""

from __future__ import annotations

import dataclasses
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation import results
from flamingo_jax.evaluation.results import Result

NO_SELECTION = "none"
"""Selection of results that have no examples to select."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One shown number: value and standard error in points, over n queries."""

    value: float
    stderr: float
    n: int


CellKey = tuple[str, str, str, str, int]
"""Task, metric, selection, images, shots."""


class Cells:
    """The results of one split, by task, metric, selection, images and shots.

    Several seeds of the same measurement become one cell: the mean of the values, and the mean of
    the standard errors (an upper bound on the error of the mean: seeds may share their queries).
    """

    def __init__(self, measured: Iterable[Result]) -> None:
        """Gathers results, all of one split."""
        by_key: dict[CellKey, list[Result]] = defaultdict(list)
        for result in measured:
            key = (result.task, result.metric, result.selection, result.images, result.shots)
            by_key[key].append(result)
        self._cells = {key: _mean(seeds) for key, seeds in by_key.items()}

    def find(self, task: str, metric: str, selection: str, images: str, shots: int) -> Cell | None:
        """The cell, or None. Without shots, a result of selection `none` stands for every one."""
        cell = self._cells.get((task, metric, selection, images, shots))
        if cell is None and shots == 0:
            cell = self._cells.get((task, metric, NO_SELECTION, images, shots))
        return cell

    def tasks(self) -> list[str]:
        """Names of the tasks that have results, in the order in which they came."""
        return _unique(key[0] for key in self._cells)

    def metrics(self, task: str) -> list[str]:
        """Names of the metrics of a task, in the order in which they came."""
        return _unique(key[1] for key in self._cells if key[0] == task)

    def selections(self, task: str, metric: str) -> list[str]:
        """Selections of a task and metric; `none` only where it is the only one."""
        found = _unique(key[2] for key in self._cells if key[:2] == (task, metric))
        return [name for name in found if name != NO_SELECTION] or found

    def shots(self, tasks: Sequence[str]) -> list[int]:
        """Numbers of shots that any of the tasks was measured with, ascending."""
        return sorted({key[4] for key in self._cells if key[0] in tasks})


def read_results(path: str | os.PathLike[str]) -> list[Result]:
    """Reads the results of a run for a table or a plot.

    Raises:
      UserError: the file is missing, damaged or empty.
    """
    try:
        found = results.read(path)
    except FileNotFoundError:
        raise UserError(f"no results at {os.fspath(path)}; run the evaluation first") from None
    except ValueError as error:
        raise UserError(f"{error}; remove the line and evaluate again") from None
    if not found:
        raise UserError(f"{os.fspath(path)} has no finished result; run the evaluation again")
    return found


def _mean(seeds: Sequence[Result]) -> Cell:
    return Cell(
        value=sum(result.value for result in seeds) / len(seeds),
        stderr=sum(result.stderr for result in seeds) / len(seeds),
        n=sum(result.n for result in seeds),
    )


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
