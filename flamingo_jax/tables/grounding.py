"""The table that shows whether the model looks: losses with other pictures, and attention."""

from __future__ import annotations

from collections.abc import Iterator

from flamingo_jax.tables.cells import NO_SELECTION, Cell, Cells
from flamingo_jax.tables.markdown import MISSING, markdown_table
from flamingo_jax.tables.tasks import SELECTIONS, task_title

LEGEND = (
    "Loss of the right answer in nats per token with real pictures, black ones, and those of "
    "another query, on the same queries: it rises as much as the answer depends on pictures. "
    "Change: the length of what cross-attention adds behind its gates where the answer begins, "
    "relative to the activations that it is added to. Attention from there: of cross-attention on "
    "the query's picture; of self-attention on the query's text and on that of the shots."
)

# Metric and pictures of each column, digits behind the point.
_COLUMNS = {
    "loss": ("loss", "real", 3),
    "zeroed": ("loss", "zeroed", 3),
    "swapped": ("loss", "swapped", 3),
    "change (%)": ("cross_attention_change", "real", 1),
    "cross: query (%)": ("cross_attention_to_query", "real", 1),
    "self: query (%)": ("self_attention_to_query", "real", 1),
    "self: shots (%)": ("self_attention_to_shots", "real", 1),
}

METRICS = frozenset(metric for metric, _, _ in _COLUMNS.values())
"""The metrics of this table; they stand in no other."""


def grounding_table(cells: Cells) -> str:
    """A row for each task, way of choosing examples and number of them.

    Args:
      cells: results of `METRICS` alone.
    """
    rows = []
    for task, selection, shots in _ways(cells):
        found = [
            cells.find(task, metric, selection, images, shots)
            for metric, images, _ in _COLUMNS.values()
        ]
        if not any(found):
            continue
        digits = [digits for _, _, digits in _COLUMNS.values()]
        rows.append([
            task_title(task),
            SELECTIONS.get(selection, selection),
            str(shots),
            *(_show(cell, number) for cell, number in zip(found, digits, strict=True)),
            str(max(cell.n for cell in found if cell is not None)),
        ])  # fmt: skip
    return markdown_table(["task", "examples", "shots", *_COLUMNS, "n"], rows, num_names=2)


def _ways(cells: Cells) -> Iterator[tuple[str, str, int]]:
    """Tasks, selections and numbers of shots, of which some may not be there."""
    for task in cells.tasks():
        selections = dict.fromkeys(
            name for metric in cells.metrics(task) for name in cells.selections(task, metric)
        )
        for shots in cells.shots([task]):
            for selection in selections if shots else (NO_SELECTION,):
                yield task, selection, shots


def _show(cell: Cell | None, digits: int) -> str:
    return MISSING if cell is None else f"{cell.value:.{digits}f} ± {cell.stderr:.{digits}f}"
