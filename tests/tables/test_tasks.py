"""The data behind tables and plots agrees with itself and with the tasks of the quickstart."""

from __future__ import annotations

from flamingo_jax.tables.plot import _COLOURS
from flamingo_jax.tables.tasks import (
    FEW_SHOT_TASKS,
    METRICS,
    SELECTIONS,
    TWO_TOWER_TASKS,
    metric_title,
)


def test_tasks_are_those_of_the_results_format() -> None:
    assert [task.name for task in (*FEW_SHOT_TASKS, *TWO_TOWER_TASKS)] == [
        "captioning",
        "question_answering",
        "classification",
        "video_question_answering",
        "attribute",
        "naming",
        "zero_shot_classification",
        "retrieval",
    ]


def test_every_metric_and_selection_is_described() -> None:
    used = {metric for task in (*FEW_SHOT_TASKS, *TWO_TOWER_TASKS) for metric in task.metrics}
    assert used == set(METRICS)
    assert set(_COLOURS) == set(SELECTIONS)
    assert metric_title("exact_match") == "exact match (%)"
    assert metric_title("mean_rank") == "mean rank"
