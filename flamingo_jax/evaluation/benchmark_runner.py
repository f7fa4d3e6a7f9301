"""The evaluation on the paper's benchmarks from end to end: batch by batch, query by query on disk.

Batches are cut from a fixed order of the queries. A run that was stopped asks again the batches of
which answers are missing, as they were, and writes what is missing: it ends with the lines that it
would have written undisturbed. The same goes for what is written of the first queries' grounding.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import jax

from flamingo_jax.config_evaluation import (
    REAL,
    SHOWN,
    BenchmarkEvaluationConfig,
    evaluation_hash,
)
from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation import benchmark_scoring, grounding_files, results
from flamingo_jax.evaluation.answering import FewShotModel
from flamingo_jax.evaluation.benchmark_answers import BenchmarkAnswers
from flamingo_jax.evaluation.benchmark_questions import Batch, Questions, Way
from flamingo_jax.evaluation.benchmark_scoring import PREDICTIONS, Resources
from flamingo_jax.evaluation.benchmark_task import RANK_SHARED, TASKS, shots_to_ask
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.fewshot import NONE, RICES
from flamingo_jax.evaluation.grounding_files import GROUNDING, GroundingFile
from flamingo_jax.evaluation.pictures import PictureEncoder
from flamingo_jax.evaluation.predictions import Origin, PredictionFile
from flamingo_jax.evaluation.prompt_lengths import left_out

_SECONDS_BETWEEN_LINES = 10.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Cell:
    """One way of asking one benchmark.

    Attributes:
      questions: of the benchmark.
      way: how they are asked.
      file: of the predictions.
      num_queries: how many are asked.
      grounding: of the first queries, see there; None if no controls are wanted.
      num_grounded: how many these are.
    """

    questions: Questions
    way: Way
    file: PredictionFile
    num_queries: int
    grounding: GroundingFile | None
    num_grounded: int

    def batches(self, size: int) -> Iterator[range]:
        """The batches in which something is missing."""
        for start in range(0, self.num_queries, size):
            batch = range(start, min(start + size, self.num_queries))
            if self.is_unanswered(batch) or self.is_ungrounded(batch):
                yield batch

    def is_unanswered(self, batch: range) -> bool:
        """Whether a query has no answer yet."""
        return self.file.lacks(self._ids(batch))

    def is_ungrounded(self, batch: range) -> bool:
        """Whether one of the first queries has no grounding yet."""
        return self.grounding is not None and self.grounding.lacks(self._ids(self.grounded(batch)))

    def grounded(self, batch: range) -> range:
        """The part of a batch that is of the first queries."""
        return range(batch.start, min(batch.stop, self.num_grounded))

    def _ids(self, batch: range) -> list[str]:
        return [self.questions.queries[index].id for index in batch]

    def work(self, size: int) -> int:
        """What there is to do, in pictures that are looked at."""
        return sum(map(len, self.batches(size))) * (self.way.shots + 1)


def evaluate(
    config: BenchmarkEvaluationConfig,
    benchmarks: Sequence[Benchmark],
    model: FewShotModel,
    folder: Path,
    results_path: Path,
) -> None:
    """Asks all that the config wants and is not answered yet; a line of results for each number.

    Args:
      config: what to ask.
      benchmarks: those of `config.tasks`; see `benchmark_opening`.
      model: the Flamingo.
      folder: of the run; predictions go to its folder `predictions`, what is measured beside them
        to `grounding`.
      results_path: `results.jsonl`, appended to; a number measured before is replaced.

    Raises:
      UserError: several processes, a picture or clip that is missing, too little support, or
        predictions of another config or checkpoint.
    """
    if jax.process_count() > 1:
        raise UserError(
            f"an evaluation runs in one process, not in {jax.process_count()}: start it on one host"
        )
    resources = Resources(wordnet=config.wordnet, stop_words=config.stop_words)
    encoder = PictureEncoder(model.functions, model.params, model.mesh)
    answers = BenchmarkAnswers(model, config)
    with ThreadPoolExecutor(config.reader_threads) as threads:
        cells = [
            cell
            for benchmark in benchmarks
            for cell in _cells(benchmark, config, model, encoder, threads, folder, results_path)
        ]
        progress = _Progress([cell.work(config.batch_size) for cell in cells])
        for number, cell in enumerate(cells, start=1):
            place = f"[{number:{len(str(len(cells)))}d}/{len(cells)}] {_told(cell)}"
            _answer(cell, config.batch_size, answers, progress, place)
            print(f"{place}: {_score(cell, resources, results_path)}", flush=True)
            is_last = number == len(cells) or cells[number].questions is not cell.questions
            if is_last:
                cell.questions.release()


def _cells(
    benchmark: Benchmark,
    config: BenchmarkEvaluationConfig,
    model: FewShotModel,
    encoder: PictureEncoder,
    threads: Executor,
    folder: Path,
    results_path: Path,
) -> Iterator[_Cell]:
    """All ways in which a benchmark is asked; those whose prompts are too long are noted."""
    task = TASKS[benchmark.name]
    questions = Questions(benchmark, task, config, model, encoder, threads, folder)
    total = len(questions.queries)
    if total < 2:
        raise UserError(f"{benchmark.name}: {total} queries in {benchmark.split!r}: at least 2")
    can_swap = questions.has_partners()
    if not can_swap and "swapped" in config.controls:
        print(f"note: {benchmark.name}: all queries show one picture: none to swap", flush=True)
    ways = list(_ways(config, benchmark.name))
    for way in ways:
        questions.support.check(way.shots)
    decided = left_out(questions, ways, config, model.vocabulary)
    results.note_left_out(results_path, decided)
    is_left_out = {(cell.shots, cell.selection) for cell in decided if cell.reason}
    for way in ways:
        if (way.shots, way.selection) in is_left_out or (way.images == "swapped" and not can_swap):
            continue
        limit, num_controls = config.num_queries, benchmark_scoring.control_limit(config)
        if way.images != REAL:
            limit = num_controls
        origin = Origin(
            task=benchmark.name, split=benchmark.split, shots=way.shots, selection=way.selection,
            images=way.images, seed=way.seed, config_hash=evaluation_hash(config),
            checkpoint=model.checkpoint, num_queries=total, protocol=task.protocol,
            candidates=benchmark.candidates if task.decode == RANK_SHARED else (),
        )  # fmt: skip
        yield _Cell(
            questions=questions, way=way, file=PredictionFile(folder / PREDICTIONS, origin),
            num_queries=min(limit or total, total),
            grounding=GroundingFile(folder / GROUNDING, origin) if config.controls else None,
            num_grounded=min(num_controls or total, total),
        )  # fmt: skip


def _ways(config: BenchmarkEvaluationConfig, name: str) -> Iterator[Way]:
    """The ways of one benchmark; what no seed changes is asked with the first one alone."""
    is_open = TASKS[name].is_open
    for shots in shots_to_ask(name, config.shots)[0]:
        for selection in config.selections if shots else (NONE,):
            draws = is_open if not shots else selection != RICES
            draws |= shots > 1 and config.ensemble > 1 and not is_open
            for seed in range(config.seeds if draws else 1):
                for images in config.shown:
                    yield Way(
                        shots=shots, selection=selection, seed=config.first_seed + seed,
                        images=images,
                    )  # fmt: skip


def _answer(
    cell: _Cell, batch_size: int, answers: BenchmarkAnswers, progress: _Progress, place: str
) -> None:
    """Asks what is not answered yet, and writes the answers down."""
    for indices in cell.batches(batch_size):
        batch = cell.questions.batch(indices, cell.way)
        if cell.is_unanswered(indices):
            cell.file.append(answers.predict(cell.questions, batch))
        if cell.grounding is not None and cell.is_ungrounded(indices):
            first = Batch(asked=batch.asked[: len(cell.grounded(indices))], latents=batch.latents)
            cell.grounding.append(answers.ground(first, is_real=cell.way.images == REAL))
        done = indices[-1] + 1
        progress.add(
            len(indices) * (cell.way.shots + 1), f"{place}: {done}/{cell.num_queries} queries"
        )


def _score(cell: _Cell, resources: Resources, results_path: Path) -> str:
    """Writes the numbers of a cell down; returns what is told of them."""
    origin = cell.file.origin
    scored = benchmark_scoring.score_file(cell.file.path, origin, cell.num_queries, resources)
    if scored.result is not None:
        results.append(results_path, scored.result)
    told = benchmark_scoring.told(scored)
    if cell.grounding is None:
        return told
    loss = grounding_files.score_file(cell.grounding.path, origin, cell.num_grounded, results_path)
    return f"{told}; {loss}"


def _told(cell: _Cell) -> str:
    """How a line of progress names a cell."""
    way = cell.way
    chosen = f" {way.selection}" if way.selection == RICES else ""
    shown = f", {way.images} pictures" if way.images != SHOWN[0] else ""
    name = cell.questions.benchmark.name
    return f"{name}, {way.shots}{chosen} shots, seed {way.seed}{shown}"


class _Progress:
    """What is done, and the time that is left by the speed so far."""

    def __init__(self, work: Sequence[int]) -> None:
        self._left = sum(work)
        self._done = 0
        self._start = self._last_line = time.monotonic()

    def add(self, work: int, text: str) -> None:
        """Counts some work as done, and says so from time to time."""
        self._done += work
        self._left -= work
        now = time.monotonic()
        if now - self._last_line < _SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        seconds = (now - self._start) / self._done * self._left
        print(f"{text} | {_duration(seconds)} left", flush=True)


def _duration(seconds: float) -> str:
    """As in "45s", "3m 05s", "2h 10m"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_of_hour = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minutes_of_hour:02d}m"
    return f"{minutes}m {rest:02d}s" if minutes else f"{rest}s"
