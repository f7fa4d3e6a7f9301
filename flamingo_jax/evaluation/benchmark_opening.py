"""The benchmarks of an evaluation, opened before its model is: what is missing is said at once."""

from __future__ import annotations

from flamingo_jax.config_evaluation import BenchmarkEvaluationConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation import two_tower_tasks
from flamingo_jax.evaluation.benchmark_scoring import Resources, check_resources
from flamingo_jax.evaluation.benchmark_task import TASKS, shots_to_ask
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.benchmarks.catalog import open_benchmark
from flamingo_jax.evaluation.two_tower_tasks import OpenedTask


def open_benchmarks(config: BenchmarkEvaluationConfig) -> list[Benchmark]:
    """Reads the annotations of all benchmarks that the Flamingo is asked.

    Prints a note of each that takes fewer shots than the config wants.

    Args:
      config: of the evaluation.

    Raises:
      UserError: there is no such benchmark or split, a file is missing (says which one, where to
        get it and what layout it needs) or is not what it should be, or what a measure needs is
        missing.
    """
    resources = Resources(wordnet=config.wordnet, stop_words=config.stop_words)
    names = [name for name in config.tasks if name not in two_tower_tasks.TASKS]
    for name in names:
        if name not in TASKS:
            known = ", ".join((*TASKS, *two_tower_tasks.TASKS))
            raise UserError(f"config.tasks: there is no task {name!r}; there are {known}")
        check_resources(TASKS[name].metric, resources)
    benchmarks = []
    for name in names:
        note = shots_to_ask(name, config.shots)[1]
        if note:
            print(f"note: {note}", flush=True)
        benchmarks.append(open_benchmark(name, config.data_dir, config.split))
    return benchmarks


def open_two_tower_tasks(config: BenchmarkEvaluationConfig) -> list[OpenedTask]:
    """Reads the annotations of all tasks of the contrastive model.

    Raises:
      UserError: as in `open_benchmarks`.
    """
    names = [name for name in config.tasks if name in two_tower_tasks.TASKS]
    return two_tower_tasks.open_tasks(
        names,
        config.data_dir,
        split=config.split,
        num_queries=config.num_queries,
        templates=config.templates,
    )
