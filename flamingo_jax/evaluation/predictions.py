"""Files of predictions: what was asked and answered, one query a line, from which all is scored.

`NAME.jsonl` has the predictions, as they come; `NAME.json` beside it says what they are of
(benchmark, shots, seed, config, checkpoint, ...). A run that was stopped goes on where it was, see
`query_lines`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flamingo_jax.config_evaluation import REAL
from flamingo_jax.core.errors import UserError
from flamingo_jax.core.files import write_atomic
from flamingo_jax.evaluation.fewshot import RICES
from flamingo_jax.evaluation.query_lines import QueryLine, QueryLines, check_fields, read_lines
from flamingo_jax.evaluation.results import Result
from flamingo_jax.evaluation.scoring import Score

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

    def result(self, score: Score) -> Result:
        """The line of results for a number that comes of the predictions."""
        return Result(
            task=self.task, split=self.split, shots=self.shots, selection=self.selection,
            images=self.images, seed=self.seed, metric=score.metric, value=score.value,
            stderr=score.stderr, n=score.n, config_hash=self.config_hash,
            checkpoint=self.checkpoint,
        )  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction(QueryLine):
    """One query's line.

    Attributes:
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


class PredictionFile(QueryLines[Prediction]):
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
        super().__init__(claim(folder, origin, origin.name), read_predictions)
        self.origin = origin


def claim(folder: Path, origin: Origin, name: str) -> Path:
    """Says in a header what the predictions beside it are of, if they are there or not.

    Args:
      folder: of all files of predictions; it is made if it is missing.
      origin: what the predictions are to be of.
      name: of the file, without ending.

    Returns:
      The file of the predictions.

    Raises:
      UserError: there are predictions of something else (another config, checkpoint, ...), or
        without a header.
    """
    path, header = folder / f"{name}{_LINES}", folder / f"{name}{_HEADER}"
    folder.mkdir(parents=True, exist_ok=True)
    if header.exists():
        _check_same(read_origin(header), origin, path)
    elif path.exists():
        raise UserError(f"{path} has no {header.name} beside it: move it away")
    else:
        # First, so that there are never predictions of which it is not known what they are of.
        write_atomic(header, json.dumps(dataclasses.asdict(origin), indent=1) + "\n")
    return path


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
    return read_lines(path, _parse, "prediction")


def headers(folder: Path) -> list[Path]:
    """The headers of all files of predictions in a folder, sorted by name."""
    return sorted(path for path in folder.glob(f"*{_HEADER}") if lines_of(path).exists())


def lines_of(header: Path) -> Path:
    """The predictions beside a header."""
    return header.with_suffix(_LINES)


def _parse(fields: dict[str, Any]) -> Prediction:
    check_fields(fields, Prediction)
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
