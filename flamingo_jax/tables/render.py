"""Results as a Markdown table: each score with its standard error, and its control beside it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from flamingo_jax.core.files import write_atomic
from flamingo_jax.evaluation.results import Result
from flamingo_jax.tables.cells import Cell, Cells, read_results
from flamingo_jax.tables.tasks import (
    FEW_SHOT_TASKS,
    SELECTIONS,
    TWO_TOWER_TASKS,
    Task,
    metric_title,
)

_MISSING = "–"
_LEGEND = (
    "Value ± standard error; in brackets the control, the same evaluation with the pictures "
    "swapped between examples. Exact match, accuracy and recall are percentages; CIDEr is the "
    "100-fold of coco-caption's value. n is the number of queries behind each value."
)


def render(results: Iterable[Result]) -> str:
    """Renders results as Markdown.

    Per split: a table of the few-shot tasks (rows: task, metric, selection; columns: shots), and a
    table of the tasks of the contrastive model. Tasks that are not listed in `tables/tasks.py`
    follow under their own names.

    Args:
      results: results, at most one per key, as `evaluation.results.read` gives them.

    Returns:
      The text, with a final line break.
    """
    results = list(results)
    sections = [_LEGEND]
    splits = list(dict.fromkeys(result.split for result in results))
    for split in splits:
        cells = Cells(result for result in results if result.split == split)
        two_tower = [task.name for task in TWO_TOWER_TASKS]
        few_shot = [name for name in cells.tasks() if name not in two_tower]
        if few_shot:
            heading = f"## Scores by number of shots ({split} split)"
            sections += [heading, _few_shot_table(cells, few_shot)]
        if any(name in two_tower for name in cells.tasks()):
            heading = f"## Contrastive model, no examples ({split} split)"
            sections += [heading, _two_tower_table(cells)]
    sections.append(_origin(results))
    return "\n\n".join(sections) + "\n"


def write_table(results_path: str | os.PathLike[str], table_path: str | os.PathLike[str]) -> None:
    """Renders a results file into a Markdown file.

    Raises:
      UserError: the results file is missing, damaged or empty.
      OSError: the table cannot be written.
    """
    write_atomic(table_path, render(read_results(results_path)))


def _few_shot_table(cells: Cells, names: Sequence[str]) -> str:
    listed = {task.name: task for task in FEW_SHOT_TASKS}
    tasks = [task for task in FEW_SHOT_TASKS if task.name in names]
    tasks += [_unlisted(name, cells) for name in names if name not in listed]
    shots = cells.shots(names)
    columns = ["0 shots" if number == 0 else f"{number} shots" for number in shots]
    rows = []
    for task in tasks:
        for metric in _ordered(cells.metrics(task.name), task.metrics):
            for selection in _ordered(cells.selections(task.name, metric), tuple(SELECTIONS)):
                real, swapped = (
                    [cells.find(task.name, metric, selection, images, n) for n in shots]
                    for images in ("real", "swapped")
                )
                rows.append([
                    task.title,
                    metric_title(metric),
                    SELECTIONS.get(selection, selection),
                    *(_show(*pair) for pair in zip(real, swapped, strict=True)),
                    _count([*real, *swapped]),
                ])  # fmt: skip
    return _markdown(["task", "metric", "examples", *columns, "n"], rows, num_names=3)


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
    return _markdown(["task", "metric", "score", "n"], rows, num_names=2)


def _unlisted(name: str, cells: Cells) -> Task:
    title = name.replace("_", " ").capitalize()
    return Task(name=name, title=title, metrics=tuple(cells.metrics(name)))


def _ordered(found: Sequence[str], preferred: Sequence[str]) -> list[str]:
    """Names that were found: the preferred ones in their order, then the others."""
    return [name for name in preferred if name in found] + [
        name for name in found if name not in preferred
    ]


def _show(real: Cell | None, swapped: Cell | None) -> str:
    if real is None and swapped is None:
        return _MISSING
    value = _MISSING if real is None else f"{real.value:.1f} ± {real.stderr:.1f}"
    return value if swapped is None else f"{value} ({swapped.value:.1f} ± {swapped.stderr:.1f})"


def _count(cells: Iterable[Cell | None]) -> str:
    counts = sorted({cell.n for cell in cells if cell is not None})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]], num_names: int) -> str:
    """A Markdown table, padded so that it reads well as plain text too; numbers to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    is_name = [column < num_names for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if name else cell.rjust(width)
            for cell, width, name in zip(cells, widths, is_name, strict=True)
        )
        return "| " + " | ".join(padded) + " |"

    rule = [
        "-" * width if name else "-" * (width - 1) + ":"
        for width, name in zip(widths, is_name, strict=True)
    ]
    return "\n".join([line(header), line(rule), *(line(row) for row in rows)])


def _origin(results: Sequence[Result]) -> str:
    """Says which checkpoints and configs the numbers come from."""
    pairs = dict.fromkeys((result.checkpoint, result.config_hash) for result in results)
    origins = ", ".join(f"`{checkpoint}` (config `{config}`)" for checkpoint, config in pairs)
    return f"Evaluated: {origins}."
