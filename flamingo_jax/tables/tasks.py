"""Tasks and metrics as tables and plots show them: order, titles, and what heads a panel."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """How a metric is shown.

    Attributes:
      title: its name with the unit, for headings.
      is_percentage: whether it runs from 0 to 100.
    """

    title: str
    is_percentage: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """How a task is shown.

    Attributes:
      name: its name in results files.
      title: its name in headings.
      metrics: its metrics in order of preference: the first that has results heads its panel.
    """

    name: str
    title: str
    metrics: tuple[str, ...]


METRICS = {
    "exact_match": Metric(title="exact match (%)", is_percentage=True),
    "vqa_accuracy": Metric(title="VQA accuracy (%)", is_percentage=True),
    "accuracy": Metric(title="top-1 accuracy (%)", is_percentage=True),
    "cider": Metric(title="CIDEr", is_percentage=False),
    "image_to_text_recall_at_1": Metric(title="image to text R@1 (%)", is_percentage=True),
    "text_to_image_recall_at_1": Metric(title="text to image R@1 (%)", is_percentage=True),
}

FEW_SHOT_TASKS = (
    Task(name="captioning", title="Captioning", metrics=("exact_match", "cider")),
    Task(
        name="question_answering",
        title="Question answering",
        metrics=("vqa_accuracy", "exact_match"),
    ),
    Task(name="classification", title="Classification", metrics=("accuracy", "exact_match")),
    Task(
        name="video_question_answering",
        title="Video question answering",
        metrics=("exact_match", "vqa_accuracy", "accuracy"),
    ),
    Task(name="attribute", title="Attribute", metrics=("exact_match", "accuracy")),
    Task(name="naming", title="Naming", metrics=("exact_match", "accuracy")),
)
"""Tasks with examples in the prompt: one panel each, scores against shots."""

TWO_TOWER_TASKS = (
    Task(
        name="zero_shot_classification",
        title="Zero-shot classification",
        metrics=("accuracy",),
    ),
    Task(
        name="retrieval",
        title="Retrieval",
        metrics=("image_to_text_recall_at_1", "text_to_image_recall_at_1"),
    ),
)
"""Tasks of the contrastive model: no prompt, so no shots."""

SELECTIONS = {"random": "random", "rices": "RICES"}
"""Ways to choose examples, in the order and with the names that are shown."""


def metric_title(name: str) -> str:
    """The shown name of a metric; one that is not listed is shown by its own name."""
    return METRICS[name].title if name in METRICS else name.replace("_", " ")


def task_title(name: str) -> str:
    """The shown name of a task that is not listed."""
    return name.replace("_", " ").capitalize()
