"""The contrastive model on the paper's benchmarks: classes and retrieval (paper, B.1.3, table 9).

Every number comes with its control, in which each query is shown the picture of another one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor

import jax
import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation import file_retrieval, results
from flamingo_jax.evaluation.benchmark_media import MediaReader
from flamingo_jax.evaluation.benchmark_task import TASKS as ASKED
from flamingo_jax.evaluation.class_templates import class_texts
from flamingo_jax.evaluation.contrastive import TwoTowerModel, embed_classes, embed_texts
from flamingo_jax.evaluation.fewshot import NONE
from flamingo_jax.evaluation.results import Result
from flamingo_jax.evaluation.scoring import Score, summarise
from flamingo_jax.evaluation.two_tower_media import embed_media
from flamingo_jax.evaluation.two_tower_tasks import Metric, OpenedTask

_SECONDS_BETWEEN_LINES = 10.0

_Scores = Callable[[np.ndarray], list[Score]]
"""From the embeddings [N, E] of what each query shows to the task's numbers."""


def evaluate_two_tower_files(
    tasks: Sequence[OpenedTask],
    model: TwoTowerModel,
    *,
    image_size: int,
    config_hash: str,
    num_frames: int = 0,
    reader_threads: int = 4,
) -> Iterator[Result]:
    """Measures a contrastive model on benchmarks' files.

    Args:
      tasks: as `open_tasks` gives them.
      model: the model.
      image_size: height and width that the image tower takes.
      config_hash: of the evaluation's config, for the results.
      num_frames: frames of a clip; 0: as the paper.
      reader_threads: threads that read and decode.

    Yields:
      The results, as soon as they are there; of each task those with real pictures first.

    Raises:
      UserError: several processes, a picture or clip that is missing or cannot be decoded, or
        embeddings that are not finite.
    """
    if jax.process_count() > 1:
        raise UserError(
            f"an evaluation runs in one process, not in {jax.process_count()}: start it on one host"
        )
    with ThreadPoolExecutor(reader_threads) as threads:
        for task in tasks:
            image_NE = _embed(task, model, image_size, num_frames, threads)
            for images, score in _measure(task, model, image_NE):
                yield Result(
                    task=task.name, split=task.benchmark.split, shots=0, selection=NONE,
                    images=images, seed=0, metric=score.metric, value=score.value,
                    stderr=score.stderr, n=score.n, config_hash=config_hash,
                    checkpoint=model.checkpoint,
                )  # fmt: skip


def _embed(
    task: OpenedTask, model: TwoTowerModel, image_size: int, num_frames: int, threads: Executor
) -> np.ndarray:
    """Embeddings [N, E] of what the queries show."""
    benchmark = task.benchmark
    asked = ASKED[benchmark.name]
    frames = 1 if asked.num_frames == 1 else num_frames or asked.num_frames
    reader = MediaReader(benchmark.name, asked, frames, image_size)
    image_NE = embed_media(
        model,
        task.queries,
        lambda item: reader.read(item, benchmark.query_media),
        threads,
        _Progress(task.name, len(task.queries)),
    )
    return _finite(image_NE, model, "pictures")


def _measure(
    task: OpenedTask, model: TwoTowerModel, image_NE: np.ndarray
) -> Iterator[tuple[str, Score]]:
    """The task's numbers, each behind what the queries showed."""
    if task.task.metric is None:
        score = _retrieval(task, model)
    else:
        score = _classification(task, task.task.metric, model)
    # The order of the queries is random: the next one is any other one.
    shown = {"real": image_NE, "swapped": np.roll(image_NE, -1, axis=0)}
    for images in results.IMAGES:
        for found in score(shown[images]):
            yield images, found


def _classification(task: OpenedTask, metric: Metric, model: TwoTowerModel) -> _Scores:
    texts = [class_texts(task.templates, name) for name in task.benchmark.candidates]
    class_CE = _finite(embed_classes(model, texts), model, "classes")
    labels = [item.label for item in task.queries]
    name = task.task.metric_name
    return lambda image_NE: [summarise(name, metric(image_NE @ class_CE.T, labels))]


def _retrieval(task: OpenedTask, model: TwoTowerModel) -> _Scores:
    texts, image_T = file_retrieval.captions(task.queries)
    text_TE = _finite(embed_texts(model, texts), model, "captions")
    return lambda image_NE: file_retrieval.score_retrieval(image_NE, text_TE, image_T)


def _finite(embeddings_NE: np.ndarray, model: TwoTowerModel, of: str) -> np.ndarray:
    if not np.isfinite(embeddings_NE).all():
        raise UserError(f"{model.checkpoint}: its embeddings of {of} are not finite")
    return embeddings_NE


class _Progress:
    """Says from time to time how many pictures are embedded."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._start = self._last_line = time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now - self._last_line < _SECONDS_BETWEEN_LINES and done < self._count:
            return
        self._last_line = now
        speed = done / max(now - self._start, 1e-9)
        print(f"{self._name}: {done}/{self._count} pictures, {speed:.1f} a second", flush=True)
