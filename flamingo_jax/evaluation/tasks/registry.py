"""All few-shot tasks by name."""

from __future__ import annotations

from flamingo_jax.evaluation.task import Task
from flamingo_jax.evaluation.tasks.attribute import Attribute
from flamingo_jax.evaluation.tasks.captioning import Captioning
from flamingo_jax.evaluation.tasks.classification import Classification
from flamingo_jax.evaluation.tasks.naming import Naming
from flamingo_jax.evaluation.tasks.question_answering import (
    QuestionAnswering,
    VideoQuestionAnswering,
)

FEW_SHOT_TASKS: dict[str, type[Task]] = {
    task.name: task
    for task in (
        Captioning,
        QuestionAnswering,
        Classification,
        VideoQuestionAnswering,
        Attribute,
        Naming,
    )
}
