"""Files of predictions: what was asked and answered, one query a line, from which all is scored.

`NAME.jsonl` has the predictions, as they come; `NAME.json` beside it says what they are of
(benchmark, shots, seed, config, checkpoint, ...). A run that was stopped goes on where it was: an
unfinished last line is cut off, and only queries without a line are asked.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from flamingo_jax.config_evaluation import REAL
from flamingo_jax.core.errors import UserError
from flamingo_jax.core.files import write_atomic
from flamingo_jax.evaluation.fewshot import RICES

_LINES, _HEADER = ".jsonl", ".json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """What the predictions of a file are of.

    Attributes:
      task: the benchmark.
      split: in the benchmark's own words.
      shots: number of shots.
      selection: how they were chosen: "random", "rices" or "none".
      images: "real", "zeroed" or "swapped".
      seed: of the choice of shots.
      config_hash: of all that answers depend on.
      checkpoint: of the model.
      num_queries: how many the benchmark has.
      protocol: of the benchmark's row of `benchmark_task.TASKS`.
      candidates: answers that all queries choose from; empty if they do not share them.
    """

    task: str
    split: str
    shots: int
    selection: str
    images: str
    seed: int
    config_hash: str
    checkpoint: str
    num_queries: int
    protocol: Mapping[str, Any]
    candidates: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the file: "coco-4-0", and what is unusual behind it: "coco-4-0-rices-swapped"."""
        more = [RICES] if self.selection == RICES else []
        more += [self.images] if self.images != REAL else []
        return "-".join((self.task, str(self.shots), str(self.seed), *more))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
    """One query's line.

    Attributes:
      query: its id.
      index: its place in the order in which queries are asked.
      medium: the picture or clip that it was shown.
      support: ids of the shots, or of the text-only examples, in the order of the prompt; of an
        ensemble, as they were chosen.
      prompt: the text that was read, in front of the answer; of an ensemble, the first one.
      output: what the model generated; of ranked candidates, the best one.
      answer: what is scored: the output after post-processing.
      score: log-likelihood of the output.
      scores: that of every candidate, by its place; empty for open answers.
      references: right answers; empty where nobody gives them out.
      label: place of the right candidate; -1 if there is none.
      candidates: of this query alone.
      details: what else the measure needs, as the benchmark's reader gives it.
      orders: places of the shots in each prompt of an ensemble; empty where there is one prompt.
    """

    query: str
    index: int
    medium: str
    support: tuple[str, ...]
    prompt: str
    output: str
    answer: str
    score: float
    scores: tuple[float, ...] = ()
    references: tuple[str, ...] = ()
    label: int = -1
    candidates: tuple[str, ...] = ()
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    orders: tuple[tuple[int, ...], ...] = ()

    def to_line(self) -> str:
        """The prediction as one line of JSON, with its line break.

        Raises:
          UserError: the model gave a number that is none (NaN).
        """
        try:
            return json.dumps(dataclasses.asdict(self), allow_nan=False) + "\n"
        except ValueError:
            raise UserError(
                f"the model's log-likelihoods for query {self.query!r} are not finite: its"
                " parameters or its precision are broken"
            ) from None


_FIELDS = {field.name for field in dataclasses.fields(Prediction)}


class PredictionFile:
    """The predictions of one number of shots and one seed of a benchmark."""

    def __init__(self, folder: Path, origin: Origin) -> None:
        """Opens the file, or makes it.

        Args:
          folder: of all files of predictions; it is made if it is missing.
          origin: what its predictions are to be of.

        Raises:
          UserError: there is such a file of other answers (another config, checkpoint, ...), or it
            is damaged.
        """
        self.path = folder / f"{origin.name}{_LINES}"
        self.origin = origin
        header = folder / f"{origin.name}{_HEADER}"
        folder.mkdir(parents=True, exist_ok=True)
        if header.exists():
            _check_same(read_origin(header), origin, self.path)
        elif self.path.exists():
            raise UserError(f"{self.path} has no {header.name} beside it: move it away")
        else:
            # First, so that there are never predictions of which it is not known what they are of.
            write_atomic(header, json.dumps(dataclasses.asdict(origin), indent=1) + "\n")
            self.path.touch()
        _cut_off_unfinished_line(self.path)
        self._answered = {prediction.query for prediction in read_predictions(self.path)}

    @property
    def answered(self) -> frozenset[str]:
        """The ids of the queries that have a line."""
        return frozenset(self._answered)

    def append(self, predictions: Iterable[Prediction]) -> None:
        """Adds lines, each of which is in the file when the next one is begun.

        Queries that have a line are passed over.

        Raises:
          UserError: see `Prediction.to_line`.
        """
        with self.path.open("ab") as file:
            for prediction in predictions:
                if prediction.query in self._answered:
                    continue
                file.write(prediction.to_line().encode())
                file.flush()
                self._answered.add(prediction.query)
            os.fsync(file.fileno())


def read_origin(header: Path) -> Origin:
    """What the predictions beside a header are of.

    Raises:
      UserError: the file is no such header.
    """
    try:
        fields = json.loads(header.read_text(encoding="utf-8"))
        fields["candidates"] = tuple(fields["candidates"])
        return Origin(**fields)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{header} does not say what the predictions are of ({error}): move it away"
        ) from None


def read_predictions(path: Path) -> Iterator[Prediction]:
    """The predictions of a file in the order of its lines; an unfinished last one is passed over.

    Raises:
      UserError: a finished line is no prediction, or a query has two.
    """
    seen: set[str] = set()
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                prediction = _parse(line)
            except (ValueError, TypeError, AttributeError) as error:
                raise UserError(f"{path} line {number} is no prediction ({error})") from None
            if prediction.query in seen:
                raise UserError(f"{path} line {number}: query {prediction.query!r} has two lines")
            seen.add(prediction.query)
            yield prediction


def headers(folder: Path) -> list[Path]:
    """The headers of all files of predictions in a folder, sorted by name."""
    return sorted(path for path in folder.glob(f"*{_HEADER}") if lines_of(path).exists())


def lines_of(header: Path) -> Path:
    """The predictions beside a header."""
    return header.with_suffix(_LINES)


def _parse(line: bytes) -> Prediction:
    fields = json.loads(line)
    if set(fields) != _FIELDS:
        raise ValueError(f"its fields are {', '.join(sorted(fields))}")
    fields["orders"] = tuple(tuple(order) for order in fields["orders"])
    for name in ("support", "scores", "references", "candidates"):
        fields[name] = tuple(fields[name])
    return Prediction(**fields)


def _check_same(before: Origin, now: Origin, path: Path) -> None:
    # As JSON has them: lists and tuples are the same there.
    old, new = (json.loads(json.dumps(dataclasses.asdict(origin))) for origin in (before, now))
    for field, value in new.items():
        if old[field] != value:
            raise UserError(
                f"{path} has predictions of {field} {_short(old[field])}, not"
                f" {_short(value)}: evaluate into another --workdir, or move the file and its"
                f" {_HEADER} away"
            )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _cut_off_unfinished_line(path: Path) -> None:
    with path.open("rb") as file:
        finished = sum(len(line) for line in file if line.endswith(b"\n"))
    if finished < path.stat().st_size:
        os.truncate(path, finished)
