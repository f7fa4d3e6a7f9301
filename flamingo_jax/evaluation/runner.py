"""The evaluation from end to end: pictures, prompts, answers, scores, one line after another.

A cell is one number of shots and one selection of one task; it is run with real and with swapped
pictures, on the same texts.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from flamingo_jax.config import EvaluationConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation import contrastive, fewshot, results, scoring
from flamingo_jax.evaluation.answering import Answerer, FewShotModel
from flamingo_jax.evaluation.fewshot import NONE
from flamingo_jax.evaluation.pictures import PictureEncoder, Pictures
from flamingo_jax.evaluation.prompts import Prompt, Shape, plan_shapes, swap_pictures
from flamingo_jax.evaluation.results import Result
from flamingo_jax.evaluation.scoring import Score
from flamingo_jax.evaluation.task import RANK, Task
from flamingo_jax.evaluation.tasks.registry import FEW_SHOT_TASKS, make_task

TWO_TOWER_TASKS = (contrastive.ZERO_SHOT_CLASSIFICATION, contrastive.RETRIEVAL)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Cell:
    """One number of shots and one selection of one task, ready to run.

    Attributes:
      task: the task.
      pictures: its encoded pictures, the support first.
      shots: number of shots.
      selection: "random", "rices", or "none" for 0 shots.
      prompts: one a query, with its own pictures.
    """

    task: Task
    pictures: Pictures
    shots: int
    selection: str
    prompts: list[Prompt]


def evaluate(
    config: EvaluationConfig,
    few_shot: FewShotModel,
    two_tower: contrastive.TwoTowerModel | None,
    results_path: Path,
    config_hash: str,
) -> None:
    """Measures all that the config asks for; a line of results as soon as a number is there.

    Args:
      config: what to measure.
      few_shot: the Flamingo.
      two_tower: the contrastive model; needed if one of its tasks is asked for.
      results_path: `results.jsonl`, appended to; a number measured before is replaced.
      config_hash: of the run's config.

    Raises:
      UserError: a task that does not exist, or too small a support.
      ValueError: a task of the contrastive model without that model.
    """
    _check_tasks(config)

    def write(
        task: str, shots: int, selection: str, images: str, scores: list[Score], checkpoint: str
    ) -> str:
        for score in scores:
            results.append(
                results_path,
                Result(
                    task=task, split=config.split, shots=shots, selection=selection,
                    images=images, seed=config.seed, metric=score.metric, value=score.value,
                    stderr=score.stderr, n=score.n, config_hash=config_hash,
                    checkpoint=checkpoint,
                ),
            )  # fmt: skip
        return f"{scores[0].metric} {images} {scores[0].value:.1f} ± {scores[0].stderr:.1f}"

    for task in config.tasks:
        if task in TWO_TOWER_TASKS:
            if two_tower is None:
                raise ValueError(f"task {task} needs the contrastive model")
            count = _num_queries(config, task, 0, NONE)
            by_images = contrastive.evaluate_two_tower(
                task, two_tower, config.seed, config.split, count
            )
            lines = [
                write(task, 0, NONE, images, scores, two_tower.checkpoint)
                for images, scores in by_images.items()
            ]
            print(f"{task}, {count} queries: {', '.join(lines)}", flush=True)

    cells = list(_cells(config, few_shot))
    answerer = Answerer(few_shot, config)
    shapes = plan_shapes([cell.prompts for cell in cells])
    remaining = _Remaining(
        [len(c.prompts) * s.num_tokens for c, s in zip(cells, shapes, strict=True)]
    )
    for number, (cell, shape) in enumerate(zip(cells, shapes, strict=True), start=1):
        lines = []
        for images in results.IMAGES:
            scores = _score(answerer, cell, shape, images)
            lines.append(
                write(
                    cell.task.name, cell.shots, cell.selection, images, scores,
                    few_shot.checkpoint,
                )  # fmt: skip
            )
        print(
            f"[{number:2d}/{len(cells)}] {cell.task.name}, {cell.shots} shots, {cell.selection},"
            f" {len(cell.prompts)} queries: {', '.join(lines)} | {remaining.after(number)} left",
            flush=True,
        )


def _check_tasks(config: EvaluationConfig) -> None:
    own = (*FEW_SHOT_TASKS, *TWO_TOWER_TASKS)
    benchmarks = tuple(benchmark.name for benchmark in config.benchmarks)
    known = (*own, *benchmarks)
    if len(set(known)) < len(known):
        raise UserError(
            f"config.evaluation.benchmarks have the names {', '.join(benchmarks)}: expected unique"
            f" ones, and none of {', '.join(own)}"
        )
    for task in (*config.tasks, *(entry.task for entry in config.more_queries)):
        if task not in known:
            raise UserError(
                f"config.evaluation: there is no task {task!r}; the tasks are {', '.join(known)}"
            )


def _num_queries(config: EvaluationConfig, task: str, shots: int, selection: str) -> int:
    """Queries of one number: as usual, or as `more_queries` says."""
    for entry in config.more_queries:
        if (entry.task, entry.shots, entry.selection) == (task, shots, selection):
            return entry.num_queries
    return config.num_queries


def _cells(config: EvaluationConfig, model: FewShotModel) -> Iterator[_Cell]:
    """Encodes the pictures of every few-shot task and makes its prompts."""
    encoder = PictureEncoder(model.functions, model.params, model.mesh)
    for name in config.tasks:
        if name in TWO_TOWER_TASKS:
            continue
        start = time.monotonic()
        task = make_task(name, config, model.image_size)
        kinds = [(0, NONE)] if 0 in config.shots else []
        kinds += [(s, way) for s in config.shots if s for way in config.selections]
        counts = [_num_queries(config, name, shots, way) for shots, way in kinds]
        if task.num_queries is not None:
            counts = [min(count, task.num_queries) for count in counts]
        if not counts:
            continue
        pictures = encoder(
            itertools.chain(
                map(task.support_media, range(task.num_support)),
                map(task.query_media, range(max(counts))),
            )
        )
        similarity_QS = pictures.pooled[task.num_support :] @ pictures.pooled[: task.num_support].T
        for (shots, selection), count in zip(kinds, counts, strict=True):
            prompts = fewshot.make_prompts(
                task, model.vocabulary, count, shots, selection, similarity_QS
            )
            yield _Cell(
                task=task, pictures=pictures, shots=shots, selection=selection, prompts=prompts
            )
        seconds = time.monotonic() - start
        print(f"{name}: {len(pictures.latents)} pictures encoded in {seconds:.0f}s", flush=True)


def _score(answerer: Answerer, cell: _Cell, shape: Shape, images: str) -> list[Score]:
    """Runs a cell with real or swapped pictures; the order of scores is that of the metrics."""
    task = cell.task
    prompts = cell.prompts if images == "real" else swap_pictures(cell.prompts)
    queries = [task.query(index) for index in range(len(prompts))]
    latents = cell.pictures.latents
    if task.decode == RANK:
        scores_QC = answerer.rank(prompts, latents, shape, task.candidates)
        answers = [query.answer for query in queries]
        return [scoring.score_rankings(scores_QC, task.candidates, answers)]
    texts = answerer.generate(prompts, latents, shape)
    references = [query.references for query in queries]
    return [scoring.score_texts(metric, texts, references) for metric in task.metrics]


class _Remaining:
    """Time left, by the work that is done and the work that there is."""

    def __init__(self, work: Sequence[float]) -> None:
        self._work = work
        self._start = time.monotonic()

    def after(self, number: int) -> str:
        """"1m 05s" when the first `number` parts are done."""
        elapsed = time.monotonic() - self._start
        left = elapsed * sum(self._work[number:]) / sum(self._work[:number])
        minutes, seconds = divmod(round(left), 60)
        return f"{minutes}m {seconds:02d}s" if minutes else f"{seconds}s"
