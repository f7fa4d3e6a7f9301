"""Cells: seeds, the shared 0-shot result, and reading errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.tables.cells import Cell, Cells, read_results
from tests.tables.made_up_results import make_result


def test_seeds_become_one_cell() -> None:
    cells = Cells([
        make_result(seed=0, value=80.0, stderr=1.0, n=500),
        make_result(seed=1, value=90.0, stderr=2.0, n=600),
    ])  # fmt: skip
    found = cells.find("captioning", "exact_match", "random", "real", 0)
    assert found == Cell(value=85.0, stderr=1.5, n=1100)


def test_zero_shots_without_selection_stand_for_every_selection() -> None:
    cells = Cells([
        make_result(selection="none", value=10.0),
        make_result(selection="random", shots=4, value=20.0),
        make_result(selection="rices", shots=4, value=30.0),
    ])  # fmt: skip
    assert cells.selections("captioning", "exact_match") == ["random", "rices"]
    for selection in ("random", "rices"):
        found = cells.find("captioning", "exact_match", selection, "real", 0)
        assert found is not None and found.value == 10.0
    assert cells.find("captioning", "exact_match", "random", "swapped", 0) is None
    assert cells.find("captioning", "exact_match", "random", "real", 8) is None


def test_reading_errors_are_one_line_for_the_user(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with pytest.raises(UserError, match="run the evaluation"):
        read_results(path)
    path.write_text("")
    with pytest.raises(UserError, match="no finished result"):
        read_results(path)
    path.write_text("{}\n")
    with pytest.raises(UserError, match=r"results\.jsonl:1"):
        read_results(path)
