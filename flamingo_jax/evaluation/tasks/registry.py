"""All few-shot tasks by name: those of the embedded world, and the benchmarks of a config."""

from __future__ import annotations

from collections.abc import Callable

from flamingo_jax.config import BenchmarkConfig, EvaluationConfig
from flamingo_jax.evaluation.task import Task
from flamingo_jax.evaluation.tasks.attribute import Attribute
from flamingo_jax.evaluation.tasks.benchmark_captioning import BenchmarkCaptioning
from flamingo_jax.evaluation.tasks.captioning import Captioning
from flamingo_jax.evaluation.tasks.classification import Classification
from flamingo_jax.evaluation.tasks.naming import Naming
from flamingo_jax.evaluation.tasks.question_answering import (
    QuestionAnswering,
    VideoQuestionAnswering,
)
from flamingo_jax.evaluation.world_task import WorldTask

FEW_SHOT_TASKS: dict[str, type[WorldTask]] = {
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

_OF_FILES: dict[str, Callable[[BenchmarkConfig, EvaluationConfig, int], Task]] = {
    "coco_captions": BenchmarkCaptioning,
}


def make_task(name: str, config: EvaluationConfig, image_size: int) -> Task:
    """The few-shot task of a name.

    Args:
      name: one of `FEW_SHOT_TASKS` or of `config.benchmarks`.
      config: of the evaluation.
      image_size: side of the pictures that the model takes, in pixels; those of the embedded world
        are painted in one size.

    Raises:
      UserError: files of the benchmark are missing or not what they should be.
      KeyError: no task of that name.
    """
    if name in FEW_SHOT_TASKS:
        return FEW_SHOT_TASKS[name](config.seed, config.split, config.num_support)
    benchmark = {benchmark.name: benchmark for benchmark in config.benchmarks}[name]
    return _OF_FILES[benchmark.source](benchmark, config, image_size)
