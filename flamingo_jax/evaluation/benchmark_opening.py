"""The benchmarks of an evaluation, opened before its model is: what is missing is said at once."""

from __future__ import annotations

from flamingo_jax.config_evaluation import BenchmarkEvaluationConfig
from flamingo_jax.evaluation.benchmark_scoring import Resources, check_resources
from flamingo_jax.evaluation.benchmark_task import find_task, shots_to_ask
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.benchmarks.catalog import open_benchmark


def open_benchmarks(config: BenchmarkEvaluationConfig) -> list[Benchmark]:
    """Reads the annotations of all benchmarks that are asked.

    Prints a note of each that takes fewer shots than the config wants.

    Args:
      config: of the evaluation.

    Raises:
      UserError: there is no such benchmark or split, a file is missing (says which one, where to
        get it and what layout it needs) or is not what it should be, or what a measure needs is
        missing.
    """
    resources = Resources(wordnet=config.wordnet, stop_words=config.stop_words)
    for name in config.tasks:
        check_resources(find_task(name).metric, resources)
    benchmarks = []
    for name in config.tasks:
        note = shots_to_ask(name, config.shots)[1]
        if note:
            print(f"note: {note}", flush=True)
        benchmarks.append(open_benchmark(name, config.data_dir, config.split))
    return benchmarks
