"""The plot: which curves are drawn where, how, and with which bars."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.results import append
from flamingo_jax.tables.plot import plot, write_plot
from tests.tables.made_up_results import make_result, quickstart_results


def curves(axes: Axes) -> list[ErrorbarContainer]:
    return [item for item in axes.containers if isinstance(item, ErrorbarContainer)]


def test_one_panel_per_task_with_four_curves() -> None:
    figure = plot(quickstart_results())
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Captioning",
        "Question answering",
        "Classification",
        "Video question answering",
        "Attribute",
        "Naming",
    ]
    for axes in figure.axes:
        assert len(curves(axes)) == 4
        assert axes.get_xticks().tolist() == [0, 4, 8, 16]
        assert axes.get_ylim()[0] <= 0 and axes.get_ylim()[1] >= 100


def test_controls_are_dashed_and_selections_coloured() -> None:
    lines = [curve.lines[0] for curve in curves(plot(quickstart_results()).axes[0])]
    real_at_zero_shots = {50.0, 52.0}
    styles = [(line.get_linestyle(), to_hex(line.get_color())) for line in lines]
    assert sorted(style for style, _ in styles) == ["-", "-", "--", "--"]
    assert len({colour for _, colour in styles}) == 2
    for line in lines:
        assert (line.get_linestyle() == "-") == (line.get_ydata()[0] in real_at_zero_shots)


def test_points_and_error_bars_have_the_values() -> None:
    results = [make_result(shots=s, value=v, stderr=e) for s, v, e in ((0, 40.0, 2.0), (8, 60, 3))]
    (curve,) = curves(plot(results).axes[0])
    line, _, (bars,) = curve.lines
    np.testing.assert_allclose(np.asarray(line.get_xdata(), float), [0, 8], atol=0.1)
    assert line.get_ydata().tolist() == [40.0, 60.0]
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert ends == [[38.0, 42.0], [57.0, 63.0]]


def test_preferred_metric_heads_the_panel() -> None:
    panel = plot([make_result(metric="cider", value=700.0), make_result(value=90.0)]).axes[0]
    assert [text.get_text() for text in panel.texts] == ["exact match (%)"]
    assert curves(panel)[0].lines[0].get_ydata().tolist() == [90.0]
    panel = plot([make_result(metric="cider", value=700.0)]).axes[0]
    assert [text.get_text() for text in panel.texts] == ["CIDEr"]
    assert panel.get_ylim()[1] > 700


def test_tasks_without_results_say_so() -> None:
    figure = plot([make_result()])
    assert [text.get_text() for text in figure.axes[5].texts] == ["no results"]
    assert curves(figure.axes[5]) == []


def test_other_splits_stay_out() -> None:
    with pytest.raises(UserError, match="'test'"):
        plot([make_result(split="validation")])
    assert plot([make_result(split="validation")], split="validation").axes


def test_same_results_give_the_same_file(tmp_path: Path) -> None:
    for result in quickstart_results()[:8]:
        append(tmp_path / "results.jsonl", result)
    images = []
    for name in ("first.png", "second.png"):
        write_plot(tmp_path / "results.jsonl", tmp_path / name, title="Few-shot scores")
        images.append((tmp_path / name).read_bytes())
    assert images[0].startswith(b"\x89PNG") and images[0] == images[1]
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "first.png", "results.jsonl", "second.png"
    ]  # fmt: skip


def test_import_brings_no_framework_and_no_pyplot() -> None:
    code = (
        "import sys, flamingo_jax.tables.plot, flamingo_jax.tables.render\n"
        "heavy = {'jax', 'tensorflow', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
