"""The Markdown table: cells where they belong, controls beside them, nothing lost."""

from __future__ import annotations

from pathlib import Path

from flamingo_jax.evaluation.results import LeftOut, append
from flamingo_jax.tables.render import render, write_table
from tests.tables.made_up_results import make_result, quickstart_results


def table_rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_values_stand_under_their_shots_with_their_control() -> None:
    rows = table_rows(render(quickstart_results()))
    assert rows[0] == [
        "task", "metric", "examples", "0 shots", "4 shots", "8 shots", "16 shots", "n"
    ]  # fmt: skip
    row = next(row for row in rows if row[0] == "Attribute" and row[2] == "RICES")
    assert row[1] == "exact match (%)"
    assert row[3:7] == [f"{value}.0 ± 1.5 (20.0 ± 1.5)" for value in (52, 56, 60, 68)]
    assert row[7] == "500"


def test_every_task_has_a_row_per_selection_in_order() -> None:
    rows = table_rows(render(quickstart_results()))
    body = rows[2:14]
    assert [row[2] for row in body] == ["random", "RICES"] * 6
    assert [row[0] for row in body[::2]] == [
        "Captioning",
        "Question answering",
        "Classification",
        "Video question answering",
        "Attribute",
        "Naming",
    ]


def test_contrastive_tasks_have_their_own_table() -> None:
    rows = table_rows(render(quickstart_results()))[14:]
    assert rows[0] == ["task", "metric", "score", "n"]
    assert rows[2:] == [
        ["Zero-shot classification", "top-1 accuracy (%)", "92.0 ± 1.5 (9.5 ± 1.5)", "539"],
        ["Retrieval", "image to text R@1 (%)", "92.0 ± 1.5 (9.5 ± 1.5)", "539"],
        ["Retrieval", "text to image R@1 (%)", "92.0 ± 1.5 (9.5 ± 1.5)", "539"],
    ]


def test_missing_numbers_are_dashes() -> None:
    rows = table_rows(
        render([
            make_result(shots=0, images="swapped", value=5.0),
            make_result(shots=4, n=600),
            make_result(task="naming", shots=8),
        ])
    )  # fmt: skip
    assert rows[2][3:] == ["– (5.0 ± 1.5)", "90.0 ± 1.5", "–", "500–600"]
    assert rows[3][3:] == ["–", "–", "90.0 ± 1.5", "500"]


def test_what_was_left_out_is_said_with_the_reason() -> None:
    noted = {"task": "naming", "split": "test", "reason": "prompts have up to 99 tokens"}
    left_out = [
        LeftOut(shots=8, selection="random", **noted),
        LeftOut(shots=4, selection="random", **noted),
        LeftOut(shots=8, selection="rices", **(noted | {"split": "validation"})),
    ]
    text = render(
        [
            make_result(task="naming", shots=4),
            make_result(task="naming", shots=4, selection="rices"),
        ],
        left_out,
    )
    rows = table_rows(text)
    # A number that is there is shown; a note is of its own split and selection alone.
    assert rows[0][3:5] == ["4 shots", "8 shots"]
    assert rows[2][2:5] == ["random", "90.0 ± 1.5", "left out"]
    assert rows[3][2:5] == ["RICES", "90.0 ± 1.5", "–"]
    assert text.split("## Left out\n\n")[1].splitlines()[:3] == [
        "- naming, 8 shots, random (test split): prompts have up to 99 tokens",
        "- naming, 4 shots, random (test split): prompts have up to 99 tokens",
        "- naming, 8 shots, RICES (validation split): prompts have up to 99 tokens",
    ]


def test_unlisted_tasks_metrics_and_selections_are_shown_as_they_are() -> None:
    rows = table_rows(render([make_result(task="visual_dialogue", metric="ndcg", selection="far")]))
    assert rows[2][:3] == ["Visual dialogue", "ndcg", "far"]


def test_splits_are_apart_and_origins_named() -> None:
    text = render([make_result(), make_result(split="validation", checkpoint="flamingo/9")])
    assert "(test split)" in text and "(validation split)" in text
    assert "`flamingo/2000` (config `ab12`), `flamingo/9` (config `ab12`)" in text


def test_columns_line_up_as_plain_text() -> None:
    lines = [line for line in render(quickstart_results()).splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines[:14]}) == 1


def test_file_to_file(tmp_path: Path) -> None:
    append(tmp_path / "results.jsonl", make_result())
    write_table(tmp_path / "results.jsonl", tmp_path / "table.md")
    assert (tmp_path / "table.md").read_text() == render([make_result()])
