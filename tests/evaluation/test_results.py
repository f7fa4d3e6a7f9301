"""Results files: order of keys, replacement, damage, and what the module drags in."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from flamingo_jax.evaluation import results
from flamingo_jax.evaluation.results import Result, append, read

KEYS = [
    "task", "split", "shots", "selection", "images", "seed", "metric", "value", "stderr", "n",
    "config_hash", "checkpoint",
]  # fmt: skip


def make_result(**changes: object) -> Result:
    values: dict[str, object] = {
        "task": "captioning",
        "split": "test",
        "shots": 4,
        "selection": "random",
        "images": "real",
        "seed": 0,
        "metric": "exact_match",
        "value": 91.5,
        "stderr": 1.25,
        "n": 500,
        "config_hash": "ab12",
        "checkpoint": "flamingo/2000",
    }
    return Result(**(values | changes))


def test_line_has_the_documented_keys_in_order(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    append(path, make_result())
    (line,) = path.read_text().splitlines()
    assert list(json.loads(line)) == KEYS
    assert read(path) == [make_result()]


def test_rerun_replaces_value_and_comes_last(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    first, other = make_result(), make_result(shots=8)
    rerun = make_result(value=95.0, checkpoint="flamingo/3000", config_hash="cd34")
    for result in (first, other, rerun):
        append(path, result)
    assert read(path) == [other, rerun]
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"task": "naming"},
        {"split": "validation"},
        {"shots": 16},
        {"selection": "rices"},
        {"images": "swapped"},
        {"seed": 1},
        {"metric": "cider"},
    ],
)
def test_each_key_field_tells_results_apart(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "results.jsonl"
    append(path, make_result())
    append(path, make_result(**change))
    assert len(read(path)) == 2


def test_last_of_repeated_lines_wins(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(make_result(value=1.0).to_line() + make_result(value=2.0).to_line())
    assert [result.value for result in read(path)] == [2.0]


def test_unfinished_last_line_is_passed_over_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(make_result().to_line() + make_result(shots=8).to_line()[:40])
    assert read(path) == [make_result()]
    append(path, make_result(shots=16))
    assert read(path) == [make_result(), make_result(shots=16)]
    assert path.read_text().endswith("\n")


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"task": "captioning"}', make_result().to_line().replace("real", "odd")]
)
def test_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(make_result().to_line() + line.strip() + "\n")
    with pytest.raises(ValueError, match=r"results\.jsonl:2: not a result"):
        read(path)


def test_unknown_field_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(json.dumps(dataclasses.asdict(make_result()) | {"extra": 1}) + "\n")
    with pytest.raises(ValueError, match="extra"):
        read(path)


@pytest.mark.parametrize(
    "change",
    [
        {"value": float("nan")},
        {"stderr": float("inf")},
        {"stderr": -1.0},
        {"n": 0},
        {"shots": -1},
        {"shots": "4"},
        {"checkpoint": 2000},
        {"seed": True},
        {"images": "mixed"},
    ],
)
def test_impossible_fields_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        make_result(**change)


def test_whole_numbers_become_floats() -> None:
    assert type(make_result(value=90).value) is float


def test_replacing_leaves_no_temporary_file_and_keeps_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    append(path, make_result())
    mode = path.stat().st_mode
    append(path, make_result(value=1.0))
    assert [file.name for file in tmp_path.iterdir()] == ["results.jsonl"]
    assert path.stat().st_mode == mode


def test_import_brings_no_framework_and_nothing_of_ours() -> None:
    code = (
        "import sys, flamingo_jax.evaluation.results\n"
        "heavy = {'jax', 'tensorflow', 'numpy', 'flamingo_jax.core'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_notes_of_what_is_left_out_are_replaced_and_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"

    def cell(shots: int, reason: str) -> results.LeftOut:
        return results.LeftOut(
            task="visdial", split="val", shots=shots, selection="random", reason=reason
        )

    results.note_left_out(path, [cell(4, "")])
    assert list(tmp_path.iterdir()) == [] and results.read_left_out(path) == []
    results.note_left_out(path, [cell(16, "too long"), cell(32, "much too long")])
    results.note_left_out(path, [cell(4, ""), cell(16, "a little too long")])
    assert results.read_left_out(path) == [
        cell(16, "a little too long"), cell(32, "much too long"),
    ]  # fmt: skip
    results.note_left_out(path, [cell(16, ""), cell(32, "")])
    assert results.read_left_out(path) == []
    (tmp_path / "left_out.jsonl").write_text('{"task": "visdial"}\n')
    with pytest.raises(ValueError, match="left_out.jsonl:1: not what was left out"):
        results.read_left_out(path)
