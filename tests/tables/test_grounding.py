"""The table that shows whether the model looks: its own numbers, and none of the others'."""

from __future__ import annotations

from typing import Any

from flamingo_jax.evaluation.results import Result
from flamingo_jax.tables import grounding
from flamingo_jax.tables.cells import Cells
from flamingo_jax.tables.markdown import markdown_table
from flamingo_jax.tables.render import render
from tests.tables.made_up_results import make_result


def measured(metric: str, value: float, **changes: Any) -> Result:
    given: dict[str, Any] = {"task": "vqav2", "stderr": 0.25, "n": 64} | changes
    return make_result(metric=metric, value=value, **given)


WITH_SHOTS = [
    measured("loss", 1.0625, shots=4),
    measured("loss", 2.5, shots=4, images="zeroed"),
    measured("loss", 3.0, shots=4, images="swapped"),
    measured("cross_attention_change", 12.5, shots=4),
    measured("cross_attention_to_query", 100.0, shots=4),
    measured("self_attention_to_query", 40.0, shots=4),
    measured("self_attention_to_shots", 35.0, shots=4),
]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_row_has_the_three_losses_and_attention() -> None:
    without = [
        measured("loss", 2.0, selection="none"),
        measured("self_attention_to_query", 60.0, selection="none"),
    ]
    head, _, *body = rows(grounding.grounding_table(Cells([*WITH_SHOTS, *without])))
    assert head == [
        "task", "examples", "shots", "loss", "zeroed", "swapped", "change (%)",
        "cross: query (%)", "self: query (%)", "self: shots (%)", "n",
    ]  # fmt: skip
    assert body == [
        ["Vqav2", "none", "0", "2.000 ± 0.250", "–", "–", "–", "–", "60.0 ± 0.2", "–", "64"],
        ["Vqav2", "random", "4", "1.062 ± 0.250", "2.500 ± 0.250", "3.000 ± 0.250", "12.5 ± 0.2",
         "100.0 ± 0.2", "40.0 ± 0.2", "35.0 ± 0.2", "64"],
    ]  # fmt: skip


def test_selections_that_were_not_measured_have_no_row() -> None:
    found = [measured("loss", 1.0, shots=4), measured("loss", 1.5, shots=8, selection="rices")]
    body = rows(grounding.grounding_table(Cells(found)))[2:]
    assert [row[1:4] for row in body] == [
        ["random", "4", "1.000 ± 0.250"], ["RICES", "8", "1.500 ± 0.250"],
    ]  # fmt: skip


def test_scores_and_these_numbers_have_tables_of_their_own() -> None:
    score = measured("vqa_accuracy", 50.0, shots=4, n=500)
    text = render([*WITH_SHOTS, score])
    scores, looks = text.split("## Does the model look? (test split)")
    assert [row[:2] for row in rows(scores)[2:]] == [["Vqav2", "VQA accuracy (%)"]]
    assert "VQA accuracy" not in looks and grounding.LEGEND in looks
    assert rows(looks)[2:][0][3] == "1.062 ± 0.250"
    assert "Does the model look?" not in render([score])


def test_a_task_without_a_score_is_shown_all_the_same() -> None:
    text = render(WITH_SHOTS)
    assert "Scores by number of shots" not in text and "Vqav2" in text


def test_names_stand_left_and_numbers_right() -> None:
    assert markdown_table(["a", "number"], [["bcd", "1"]], num_names=1).splitlines() == [
        "| a   | number |",
        "| --- | -----: |",
        "| bcd |      1 |",
    ]
