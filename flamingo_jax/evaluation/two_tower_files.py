"""The contrastive model on the paper's benchmarks: classes and retrieval (paper, B.1.3, table 9).

Every number comes with its control, in which each query is shown the picture of another one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

from flamingo_jax.config_evaluation import REAL
from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation import (
    file_retrieval,
    results,
    two_tower_predictions,
    two_tower_scoring,
)
from flamingo_jax.evaluation.benchmark_media import MediaReader
from flamingo_jax.evaluation.benchmark_task import TASKS as ASKED
from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.class_templates import class_texts
from flamingo_jax.evaluation.contrastive import TwoTowerModel, embed_classes, embed_texts
from flamingo_jax.evaluation.predictions import Origin, claim
from flamingo_jax.evaluation.results import Result
from flamingo_jax.evaluation.two_tower_media import KeptEmbeddings, embed_media
from flamingo_jax.evaluation.two_tower_predictions import TwoTowerPrediction
from flamingo_jax.evaluation.two_tower_ranks import rank_candidates
from flamingo_jax.evaluation.two_tower_tasks import OpenedTask

_SECONDS_BETWEEN_LINES = 10.0

_EMBEDDINGS = ".embeddings"
"""Ends the name of the file of embeddings, which is there until all is written."""

_NUM_BEST_CLASSES, _NUM_BEST = 5, 10
"""How many candidates are written down for each query."""

_Found = Callable[[np.ndarray, Sequence[Item]], list[TwoTowerPrediction]]
"""From the embeddings [N, E] of what each query shows, and whose it is, to the task's lines."""


def evaluate_two_tower_files(
    tasks: Sequence[OpenedTask],
    model: TwoTowerModel,
    *,
    folder: Path,
    image_size: int,
    config_hash: str,
    num_frames: int = 0,
    reader_threads: int = 4,
) -> Iterator[Result]:
    """Measures a contrastive model on benchmarks' files.

    Args:
      tasks: as `open_tasks` gives them.
      model: the model.
      folder: of the predictions; what is in it is not computed again.
      image_size: height and width that the image tower takes.
      config_hash: of the evaluation's config, for the results.
      num_frames: frames of a clip; 0: as the paper.
      reader_threads: threads that read and decode.

    Yields:
      The results, as soon as they are there; of each task those with real pictures first.

    Raises:
      UserError: several processes, predictions of another config or checkpoint, a picture or clip
        that is missing or cannot be decoded, or embeddings that are not finite.
    """
    if jax.process_count() > 1:
        raise UserError(
            f"an evaluation runs in one process, not in {jax.process_count()}: start it on one host"
        )
    claimed = [_claim(task, folder, config_hash, model.checkpoint) for task in tasks]
    with ThreadPoolExecutor(reader_threads) as threads:
        for task, files in zip(tasks, claimed, strict=True):
            if not all(path.exists() for path, _ in files.values()):
                kept = KeptEmbeddings(files[REAL][0].with_suffix(_EMBEDDINGS))
                image_NE = _embed(task, model, image_size, num_frames, threads, kept)
                _write(task, model, image_NE, files)
                kept.remove()
            for path, origin in files.values():
                yield from two_tower_scoring.score_file(path, origin)


def _claim(
    task: OpenedTask, folder: Path, config_hash: str, checkpoint: str
) -> dict[str, tuple[Path, Origin]]:
    """The file of a task's predictions for what is shown, and what it is of."""
    files = {}
    for images in results.IMAGES:
        origin = two_tower_predictions.origin_of(task, images, config_hash, checkpoint)
        name = two_tower_predictions.file_name(origin)
        files[images] = (claim(folder, origin, name), origin)
    return files


def _write(
    task: OpenedTask,
    model: TwoTowerModel,
    image_NE: np.ndarray,
    files: Mapping[str, tuple[Path, Origin]],
) -> None:
    """Writes what is found with real pictures, and with those of other queries."""
    found = _retrieval(task, model) if task.task.is_retrieval else _classification(task, model)
    # The order of the queries is random: the next one is any other one.
    own = np.arange(len(image_NE))
    for images, (path, _) in files.items():
        order = own if images == REAL else np.roll(own, -1)
        shown = [task.queries[place] for place in order]
        two_tower_predictions.write(path, found(image_NE[order], shown))


def _classification(task: OpenedTask, model: TwoTowerModel) -> _Found:
    names = task.benchmark.candidates
    texts = [class_texts(task.templates, name) for name in names]
    class_CE = _finite(embed_classes(model, texts), model, "classes")
    class_C = np.arange(len(names))
    label_N = np.array([item.label for item in task.queries])

    def found(image_NE: np.ndarray, shown: Sequence[Item]) -> list[TwoTowerPrediction]:
        ranks = rank_candidates(image_NE, label_N, class_CE, class_C, _NUM_BEST_CLASSES)
        return two_tower_predictions.of_classes(task.queries, shown, names, ranks)

    return found


def _retrieval(task: OpenedTask, model: TwoTowerModel) -> _Found:
    texts, image_T = file_retrieval.captions(task.queries)
    text_TE = _finite(embed_texts(model, texts), model, "captions")
    image_I = np.arange(len(task.queries))

    def found(image_IE: np.ndarray, shown: Sequence[Item]) -> list[TwoTowerPrediction]:
        of_images = rank_candidates(image_IE, image_I, text_TE, image_T, _NUM_BEST)
        of_texts = rank_candidates(text_TE, image_T, image_IE, image_I, _NUM_BEST)
        return two_tower_predictions.of_retrieval(task.queries, shown, of_images, of_texts)

    return found


def _embed(
    task: OpenedTask,
    model: TwoTowerModel,
    image_size: int,
    num_frames: int,
    threads: Executor,
    kept: KeptEmbeddings,
) -> np.ndarray:
    """Embeddings [N, E] of what the queries show."""
    benchmark = task.benchmark
    asked = ASKED[benchmark.name]
    frames = 1 if asked.num_frames == 1 else num_frames or asked.num_frames
    reader = MediaReader(benchmark.name, asked, frames, image_size)
    return embed_media(
        model,
        task.queries,
        lambda item: reader.read(item, benchmark.query_media),
        threads,
        _Progress(task.name, len(task.queries), kept.count),
        kept,
    )


def _finite(embeddings_NE: np.ndarray, model: TwoTowerModel, of: str) -> np.ndarray:
    if not np.isfinite(embeddings_NE).all():
        raise UserError(f"{model.checkpoint}: its embeddings of {of} are not finite")
    return embeddings_NE


class _Progress:
    """Says from time to time how many pictures are embedded."""

    def __init__(self, name: str, count: int, done_before: int) -> None:
        self._name = name
        self._count = count
        self._done_before = done_before
        self._start = self._last_line = time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now - self._last_line < _SECONDS_BETWEEN_LINES and done < self._count:
            return
        self._last_line = now
        speed = (done - self._done_before) / max(now - self._start, 1e-9)
        print(f"{self._name}: {done}/{self._count} pictures, {speed:.1f} a second", flush=True)
