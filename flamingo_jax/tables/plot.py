"""Scores against the number of shots, one panel per task, each curve with its control."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.results import Result
from flamingo_jax.tables.cells import Cells, read_results
from flamingo_jax.tables.tasks import FEW_SHOT_TASKS, METRICS, SELECTIONS, Task, metric_title

# Two colours that stay apart in print and for colour-blind readers.
_COLOURS = {"random": "#1f5fa8", "rices": "#d9622b"}
_TEXT = "#2b2b2b"
_SUBTITLE = "#6b6b6b"
_FAINT = "#8a8a8a"
_NUM_COLUMNS = 3
_DOTS_PER_INCH = 160
# Curves of the two selections stand a little apart, so that their error bars do not cover.
_OFFSET_SHARE = 0.006


def plot(results: Iterable[Result], *, split: str = "test", title: str = "") -> Figure:
    """Draws the few-shot tasks.

    Solid lines with filled marks: real pictures. Dashed lines with open marks: the control with
    swapped pictures. One colour per way of selecting examples; bars of one standard error.
    Percentages share the range 0 to 100, so that panels compare at a glance.

    Args:
      results: results, at most one per key.
      split: the split to draw.
      title: a line above the panels; none if empty.

    Returns:
      The figure, on an Agg canvas (no window, no global matplotlib state).

    Raises:
      UserError: no few-shot task has a result of this split.
    """
    cells = Cells(result for result in results if result.split == split)
    names = [task.name for task in FEW_SHOT_TASKS if task.name in cells.tasks()]
    if not names:
        raise UserError(f"no few-shot results of the {split!r} split to plot; evaluate it first")
    shots = cells.shots(names)
    num_rows = math.ceil(len(FEW_SHOT_TASKS) / _NUM_COLUMNS)
    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.10)  # inches
    figure = Figure(figsize=(11.0, 3.3 * num_rows + 0.7), layout=layout)
    FigureCanvasAgg(figure)
    grid = figure.subplots(num_rows, _NUM_COLUMNS, squeeze=False).flat
    for axes, task in zip(grid, FEW_SHOT_TASKS, strict=False):
        _draw_panel(axes, task, cells, shots)
    for axes in list(grid)[len(FEW_SHOT_TASKS) :]:
        axes.set_visible(False)
    for axes in figure.axes[-_NUM_COLUMNS:]:
        axes.set_xlabel("shots", color=_TEXT)
    figure.legend(
        handles=_legend_handles(), loc="outside lower center", ncols=4, frameon=False,
        labelcolor=_TEXT, handlelength=3.0, columnspacing=2.5,
    )  # fmt: skip
    if title:
        figure.suptitle(title, color=_TEXT, fontsize=13, fontweight="bold")
    return figure


def write_plot(
    results_path: str | os.PathLike[str],
    plot_path: str | os.PathLike[str],
    *,
    split: str = "test",
    title: str = "",
) -> None:
    """Draws a results file into a PNG file.

    Raises:
      UserError: the results file is missing, damaged or empty, or has nothing to plot.
      OSError: the plot cannot be written.
    """
    figure = plot(read_results(results_path), split=split, title=title)
    image = io.BytesIO()
    # No creation date or version inside: equal results give equal files.
    figure.savefig(image, format="png", dpi=_DOTS_PER_INCH, metadata={"Software": None})
    target = Path(plot_path)
    temporary = target.with_name(f".{target.name}.partial")
    temporary.write_bytes(image.getvalue())
    os.replace(temporary, target)


def _draw_panel(axes: Axes, task: Task, cells: Cells, shots: Sequence[int]) -> None:
    measured = cells.metrics(task.name)
    metric = next((name for name in task.metrics if name in measured), None)
    _style(axes, shots)
    axes.set_title(task.title, loc="left", pad=17, color=_TEXT, fontsize=11, fontweight="bold")
    if metric is None:
        axes.text(
            0.5, 0.5, "no results", transform=axes.transAxes, ha="center", va="center", color=_FAINT
        )
        axes.set_yticks([])
        return
    axes.annotate(
        metric_title(metric), xy=(0, 1), xycoords="axes fraction", xytext=(0, 6),
        textcoords="offset points", color=_SUBTITLE, fontsize=9,
    )  # fmt: skip
    span = max(shots) - min(shots) or 1
    for rank, selection in enumerate(SELECTIONS):
        offset = (2 * rank - len(SELECTIONS) + 1) * _OFFSET_SHARE * span
        for images in ("swapped", "real"):
            points = [
                (number + offset, cell)
                for number in shots
                if (cell := cells.find(task.name, metric, selection, images, number)) is not None
            ]
            if points:
                axes.errorbar(
                    [x for x, _ in points],
                    [cell.value for _, cell in points],
                    yerr=[cell.stderr for _, cell in points],
                    **_line_style(selection, images),
                )
    if metric in METRICS and METRICS[metric].is_percentage:
        axes.set_ylim(-4, 104)
        axes.set_yticks(range(0, 101, 20))
    else:
        axes.set_ylim(bottom=0)


def _style(axes: Axes, shots: Sequence[int]) -> None:
    margin = 0.05 * (max(shots) - min(shots) or 1)
    axes.set_xlim(min(shots) - margin, max(shots) + margin)
    axes.set_xticks(shots)
    axes.tick_params(color=_FAINT, labelcolor=_TEXT, labelsize=9, length=3)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#b5b5b5")


def _line_style(selection: str, images: str) -> dict[str, Any]:
    """Colour by selection; solid and filled for real pictures, dashed and open for swapped."""
    colour = _COLOURS[selection]
    is_real = images == "real"
    return {
        "color": colour,
        "linestyle": "-" if is_real else (0, (4, 2.5)),
        "linewidth": 2.0 if is_real else 1.4,
        "alpha": 1.0 if is_real else 0.8,
        "marker": "o" if selection == "random" else "D",
        "markersize": 5.0 if selection == "random" else 4.5,
        "markerfacecolor": colour if is_real else "white",
        "markeredgecolor": colour,
        "elinewidth": 1.1,
        "capsize": 2.5,
        "zorder": 3 if is_real else 2,
    }


def _legend_handles() -> list[Line2D]:
    handles = []
    for selection, name in SELECTIONS.items():
        for images, pictures in (("real", "real pictures"), ("swapped", "swapped (control)")):
            style = _line_style(selection, images)
            for key in ("elinewidth", "capsize"):
                del style[key]
            handles.append(Line2D([], [], label=f"{name}, {pictures}", **style))
    return handles
