"""Markdown tables that read well as plain text too."""

from __future__ import annotations

from collections.abc import Sequence

MISSING = "–"
"""What stands in a cell without a number."""


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], num_names: int) -> str:
    """A table, padded so that columns line up.

    Args:
      header: names of the columns.
      rows: as many cells each.
      num_names: the first so many columns stand to the left, the others, numbers, to the right.
    """
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
