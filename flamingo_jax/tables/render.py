"""Results as a Markdown table: each score with its standard error, and its control beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from flamingo_jax.core.errors import UserError
from flamingo_jax.core.files import write_atomic
from flamingo_jax.evaluation.results import LeftOut, Result, read_left_out
from flamingo_jax.tables import grounding
from flamingo_jax.tables.cells import NO_SELECTION, Cell, Cells, read_results
from flamingo_jax.tables.markdown import MISSING, markdown_table
from flamingo_jax.tables.tasks import (
    FEW_SHOT_TASKS,
    SELECTIONS,
    TWO_TOWER_TASKS,
    Task,
    metric_title,
    task_title,
)

_NOT_ASKED = "left out"
_LEGEND = (
    "Value ± standard error; in brackets the control, the same evaluation with the pictures "
    "swapped between examples. Exact match, accuracy and recall are percentages; CIDEr is the "
    "100-fold of coco-caption's value. n is the number of queries behind each value."
)


def render(results: Iterable[Result], left_out: Sequence[LeftOut] = ()) -> str:
    """Renders results as Markdown.

    Per split: a table of the few-shot tasks (rows: task, metric, selection; columns: shots), and a
    table of the tasks of the contrastive model. Tasks that are not listed in `tables/tasks.py`
    follow under their own names. What shows whether the model looks has a table of its own.

    Args:
      results: results, at most one per key, as `evaluation.results.read` gives them.
      left_out: what was not asked, and why; a number that is there nevertheless is shown.

    Returns:
      The text, with a final line break.
    """
    results = list(results)
    sections = [_LEGEND]
    splits = list(dict.fromkeys(result.split for result in results))
    for split in splits:
        found = [result for result in results if result.split == split]
        cells = Cells(result for result in found if result.metric not in grounding.METRICS)
        two_tower = [task.name for task in TWO_TOWER_TASKS]
        few_shot = [name for name in cells.tasks() if name not in two_tower]
        if few_shot:
            heading = f"## Scores by number of shots ({split} split)"
            noted = [cell for cell in left_out if cell.split == split]
            sections += [heading, _few_shot_table(cells, few_shot, noted)]
        if any(name in two_tower for name in cells.tasks()):
            heading = f"## Contrastive model, no examples ({split} split)"
            sections += [heading, _two_tower_table(cells)]
        looks = Cells(result for result in found if result.metric in grounding.METRICS)
        if looks.tasks():
            heading = f"## Does the model look? ({split} split)"
            sections += [heading, grounding.LEGEND, grounding.grounding_table(looks)]
    if left_out:
        lines = [
            f"- {cell.task}, {cell.shots} shots, {SELECTIONS.get(cell.selection, cell.selection)}"
            f" ({cell.split} split): {cell.reason}"
            for cell in left_out
        ]
        sections += ["## Left out", "\n".join(lines)]
    sections.append(_origin(results))
    return "\n\n".join(sections) + "\n"


def write_table(results_path: str | os.PathLike[str], table_path: str | os.PathLike[str]) -> None:
    """Renders a results file, and the notes of what was left out, into a Markdown file.

    Raises:
      UserError: the results file is missing or empty, or it or the notes are damaged.
      OSError: the table cannot be written.
    """
    found = read_results(results_path)
    try:
        left_out = read_left_out(results_path)
    except ValueError as error:
        raise UserError(f"{error}; remove the file and evaluate again") from None
    write_atomic(table_path, render(found, left_out))


def _few_shot_table(cells: Cells, names: Sequence[str], left_out: Sequence[LeftOut]) -> str:
    listed = {task.name: task for task in FEW_SHOT_TASKS}
    tasks = [task for task in FEW_SHOT_TASKS if task.name in names]
    tasks += [_unlisted(name, cells) for name in names if name not in listed]
    not_asked = [cell.shots for cell in left_out if cell.task in names]
    shots = sorted({*cells.shots(names), *not_asked})
    columns = ["0 shots" if number == 0 else f"{number} shots" for number in shots]
    rows = []
    for task in tasks:
        for metric in _ordered(cells.metrics(task.name), task.metrics):
            for selection in _ordered(cells.selections(task.name, metric), tuple(SELECTIONS)):
                real, swapped = (
                    [cells.find(task.name, metric, selection, images, n) for n in shots]
                    for images in ("real", "swapped")
                )
                is_out = [_is_among(left_out, task.name, selection, n) for n in shots]
                rows.append([
                    task.title,
                    metric_title(metric),
                    SELECTIONS.get(selection, selection),
                    *(
                        _show(one, other, is_left_out=out)
                        for one, other, out in zip(real, swapped, is_out, strict=True)
                    ),
                    _count([*real, *swapped]),
                ])  # fmt: skip
    return markdown_table(["task", "metric", "examples", *columns, "n"], rows, num_names=3)


def _is_among(left_out: Sequence[LeftOut], task: str, selection: str, shots: int) -> bool:
    """Whether a cell of the table is left out; without examples, no selection stands for all."""
    return any(
        (cell.task, cell.shots) == (task, shots)
        and (cell.selection == selection or NO_SELECTION in (cell.selection, selection))
        for cell in left_out
    )


def _two_tower_table(cells: Cells) -> str:
    rows = []
    for task in TWO_TOWER_TASKS:
        for metric in _ordered(cells.metrics(task.name), task.metrics):
            for selection in cells.selections(task.name, metric):
                pair = [
                    cells.find(task.name, metric, selection, images, 0)
                    for images in ("real", "swapped")
                ]
                rows.append([task.title, metric_title(metric), _show(*pair), _count(pair)])
    return markdown_table(["task", "metric", "score", "n"], rows, num_names=2)


def _unlisted(name: str, cells: Cells) -> Task:
    return Task(name=name, title=task_title(name), metrics=tuple(cells.metrics(name)))


def _ordered(found: Sequence[str], preferred: Sequence[str]) -> list[str]:
    """Names that were found: the preferred ones in their order, then the others."""
    return [name for name in preferred if name in found] + [
        name for name in found if name not in preferred
    ]


def _show(real: Cell | None, swapped: Cell | None, *, is_left_out: bool = False) -> str:
    if real is None and swapped is None:
        return _NOT_ASKED if is_left_out else MISSING
    value = MISSING if real is None else f"{real.value:.1f} ± {real.stderr:.1f}"
    return value if swapped is None else f"{value} ({swapped.value:.1f} ± {swapped.stderr:.1f})"


def _count(cells: Iterable[Cell | None]) -> str:
    counts = sorted({cell.n for cell in cells if cell is not None})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"


def _origin(results: Sequence[Result]) -> str:
    """Says which checkpoints and configs the numbers come from."""
    pairs = dict.fromkeys((result.checkpoint, result.config_hash) for result in results)
    origins = ", ".join(f"`{checkpoint}` (config `{config}`)" for checkpoint, config in pairs)
    return f"Evaluated: {origins}."
