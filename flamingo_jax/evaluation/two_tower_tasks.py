"""The benchmarks that the contrastive model is measured on, and the reading of their files.

Loads no JAX: what is missing is said at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import seeds
from flamingo_jax.evaluation import class_templates, file_retrieval
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.catalog import open_benchmark


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoTowerTask:
    """What the contrastive model is asked about one benchmark.

    Attributes:
      benchmark: its name in the catalog.
      metric: what a classification's number is called in results; empty for retrieval, which has
        six numbers.
      cutoffs: the number is the mean of top-k accuracy at these k; retrieval has recall at each.
    """

    benchmark: str
    metric: str = ""
    cutoffs: tuple[int, ...] = file_retrieval.CUTOFFS

    @property
    def is_retrieval(self) -> bool:
        """Whether captions are looked for, and pictures by their captions."""
        return not self.metric


TASKS: Mapping[str, TwoTowerTask] = {
    "imagenet_zero_shot": TwoTowerTask(benchmark="imagenet", metric="accuracy", cutoffs=(1,)),
    "kinetics700_zero_shot": TwoTowerTask(
        benchmark="kinetics700", metric="mean_top1_top5", cutoffs=(1, 5)
    ),
    "coco_retrieval": TwoTowerTask(benchmark="coco"),
    "flickr30k_retrieval": TwoTowerTask(benchmark="flickr30k"),
}
"""Tasks by the name that they have in results."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OpenedTask:
    """A task whose files of annotations have been read.

    Attributes:
      name: in results.
      task: its row.
      benchmark: its files.
      queries: what is asked, in a fixed random order.
      templates: of the texts that stand for a class; empty for retrieval.
    """

    name: str
    task: TwoTowerTask
    benchmark: Benchmark
    queries: tuple[Item, ...]
    templates: tuple[str, ...]


def open_tasks(
    names: Sequence[str], data_dir: str, *, split: str, num_queries: int = 0, templates: str = ""
) -> list[OpenedTask]:
    """Reads the annotations of all tasks, so that what is missing is said before a model is loaded.

    Args:
      names: keys of `TASKS`.
      data_dir: the folder that has a folder for each benchmark, local or gs://.
      split: "test" or "validation".
      num_queries: pictures of each task; 0: all. Fewer make retrieval easier, since the others are
        no candidates either.
      templates: local folder of templates `<benchmark>.txt`; empty: the shipped ones.

    Raises:
      UserError: there is no such task or split, a file is missing or wrong, or there are fewer than
        two queries.
    """
    return [_open(name, data_dir, split, num_queries, templates) for name in names]


def find_task(name: str) -> TwoTowerTask:
    """The row of a task.

    Raises:
      UserError: there is none of that name.
    """
    if name not in TASKS:
        raise UserError(f"config.tasks: there is no task {name!r}; there are {', '.join(TASKS)}")
    return TASKS[name]


def _open(name: str, data_dir: str, split: str, num_queries: int, templates: str) -> OpenedTask:
    task = find_task(name)
    read: tuple[str, ...] = ()
    if not task.is_retrieval:
        folder = Path(templates) if templates else class_templates.TEMPLATES_FOLDER
        read = class_templates.read_templates(folder / f"{task.benchmark}.txt")
    benchmark = open_benchmark(task.benchmark, data_dir, split)
    queries = _asked(benchmark, num_queries)
    if len(queries) < 2:
        raise UserError(f"{name}: {len(queries)} queries in {split!r}: at least 2")
    return OpenedTask(name=name, task=task, benchmark=benchmark, queries=queries, templates=read)


def _asked(benchmark: Benchmark, num_queries: int) -> tuple[Item, ...]:
    """The queries in a fixed random order, or the first of them: the order of few-shot queries."""
    random = seeds.generator(0, f"benchmarks/{benchmark.name}/asked", benchmark.split, 0)
    order = random.permutation(len(benchmark.queries))
    return tuple(benchmark.queries[place] for place in order[: num_queries or len(order)])
