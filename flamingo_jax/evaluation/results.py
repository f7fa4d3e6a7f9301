"""Results of evaluations: one JSON object a line in `results.jsonl`.

Tables and plots read these files and nothing else, so this module imports nothing of the project:
reading a results file never loads JAX or TensorFlow.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

IMAGES = ("real", "swapped")
"""What an evaluation showed: each example its own picture, or the picture of another example."""

ZEROED = "zeroed"
"""A further control of benchmarks: all pictures are black."""

_LEFT_OUT = "left_out.jsonl"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """One number of an evaluation. The order of the fields is the order of the keys in the file.

    Attributes:
      task: what was asked, for example `captioning` or `zero_shot_classification`.
      split: the split of the queries, for example `test`.
      shots: number of examples with pictures in the prompt; 0 for tasks that take no examples.
      selection: how the examples were chosen: `random`, `rices`, or `none` where there are none.
      images: `real`, or `swapped` for the control in which pictures change places, or `zeroed` for
        the one in which they are black.
      seed: seed of the choice of queries and examples.
      metric: name of the metric, for example `exact_match`.
      value: the score in points (exact match, accuracy and recall: percent; CIDEr: the 100-fold of
        coco-caption's value); a loss in nats per token, attention in percent.
      stderr: standard error of `value`, in its unit.
      n: number of queries that `value` is the mean of.
      config_hash: hash of the config that the evaluation ran with.
      checkpoint: the checkpoint that was evaluated.
    """

    task: str
    split: str
    shots: int
    selection: str
    images: str
    seed: int
    metric: str
    value: float
    stderr: float
    n: int
    config_hash: str
    checkpoint: str

    def __post_init__(self) -> None:
        """Checks types and ranges, so that no unreadable line gets into a file.

        Raises:
          ValueError: a field has the wrong type or is out of range.
        """
        for name, expected in _FIELD_TYPES.items():
            value = getattr(self, name)
            # A whole number is a float as well, but a bool is no number here.
            if expected is float and type(value) is int:
                object.__setattr__(self, name, float(value))
            elif type(value) is not expected:
                raise ValueError(
                    f"result field {name!r} is {value!r}; it must be of type {expected.__name__}"
                )
        if self.images not in (*IMAGES, ZEROED):
            raise ValueError(
                f"result field 'images' is {self.images!r}; it must be one of {(*IMAGES, ZEROED)}"
            )
        if not math.isfinite(self.value):
            raise ValueError(f"result field 'value' is {self.value}; it must be finite")
        if not (math.isfinite(self.stderr) and self.stderr >= 0):
            raise ValueError(f"result field 'stderr' is {self.stderr}; it must be finite and >= 0")
        if self.shots < 0:
            raise ValueError(f"result field 'shots' is {self.shots}; it must be >= 0")
        if self.n < 1:
            raise ValueError(f"result field 'n' is {self.n}; it must be >= 1")

    @property
    def key(self) -> tuple[str, str, int, str, str, int, str]:
        """What was measured. A later result of the same key replaces an earlier one.

        The checkpoint and the config are not part of it: a results file tells how its run does
        now, and evaluating the run again after more training replaces its numbers.
        """
        return (
            self.task,
            self.split,
            self.shots,
            self.selection,
            self.images,
            self.seed,
            self.metric,
        )

    def to_line(self) -> str:
        """The result as one line of JSON, with its line break."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, allow_nan=False) + "\n"


_FIELD_TYPES: dict[str, type] = {
    field.name: {"str": str, "int": int, "float": float}[str(field.type)]
    for field in dataclasses.fields(Result)
}


def append(path: str | os.PathLike[str], result: Result) -> None:
    """Adds a result to a file; an earlier result of the same key is taken out.

    One writer at a time. A crash leaves the file as it was or with one unfinished last line, which
    `read` passes over and the next `append` removes.

    Args:
      path: the file; it is made if it is missing, its folder is not.
      result: the result.

    Raises:
      ValueError: a finished line of the file is not a result.
      OSError: the file cannot be read or written.
    """
    path = Path(path)
    content = path.read_bytes() if path.exists() else b""
    earlier = read(path) if content else []
    is_finished = content.endswith(b"\n") or not content
    if is_finished and all(result.key != other.key for other in earlier):
        with path.open("ab") as file:
            file.write(result.to_line().encode())
        return
    kept = [other.to_line() for other in earlier if other.key != result.key]
    _replace(path, "".join([*kept, result.to_line()]))


def read(path: str | os.PathLike[str]) -> list[Result]:
    """Reads a results file.

    Args:
      path: the file.

    Returns:
      The results in the order of their lines, only the last one of each key. An unfinished last
      line (no line break: its writer was stopped) is passed over.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: a finished line is not a result; the message has the file and the line number.
    """
    lines = Path(path).read_text(encoding="utf-8").split("\n")
    by_key: dict[tuple[Any, ...], Result] = {}
    for number, line in enumerate(lines[:-1], start=1):
        if not line.strip():
            continue
        try:
            result = _parse(line)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{os.fspath(path)}:{number}: not a result: {error}") from None
        by_key.pop(result.key, None)
        by_key[result.key] = result
    return list(by_key.values())


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A number of shots that a task was not asked with.

    Attributes:
      task: see `Result`, as the next three.
      split: the split of the queries.
      shots: number of shots.
      selection: how they would have been chosen.
      reason: why, for people; empty where it is asked after all.
    """

    task: str
    split: str
    shots: int
    selection: str
    reason: str

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What is left out."""
        return (self.task, self.split, self.shots, self.selection)


def left_out_path(results_path: str | os.PathLike[str]) -> Path:
    """The file beside a results file that says what was left out."""
    return Path(results_path).with_name(_LEFT_OUT)


def note_left_out(results_path: str | os.PathLike[str], cells: Sequence[LeftOut]) -> None:
    """Notes beside a results file what is left out; earlier notes on the same are replaced.

    Args:
      results_path: of the results file, which may be missing.
      cells: what was decided about; a reason that is empty takes an earlier note back.

    Raises:
      ValueError: the file of notes is damaged.
      OSError: it cannot be read or written.
    """
    path = left_out_path(results_path)
    by_key = {cell.key: cell for cell in (*read_left_out(results_path), *cells)}
    lines = [json.dumps(dataclasses.asdict(cell)) for cell in by_key.values() if cell.reason]
    if lines or path.exists():
        path.touch()
        _replace(path, "".join(f"{line}\n" for line in lines))


def read_left_out(results_path: str | os.PathLike[str]) -> list[LeftOut]:
    """What was left out of a results file, in the order in which it was noted first.

    Raises:
      ValueError: a line is no such note; the message has the file and the line number.
    """
    path = left_out_path(results_path)
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            found.append(LeftOut(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}:{number}: not what was left out: {error}") from None
    return found


def _parse(line: str) -> Result:
    values = json.loads(line)
    if not isinstance(values, dict):
        raise ValueError("it must be a JSON object")
    missing = [name for name in _FIELD_TYPES if name not in values]
    unknown = [name for name in values if name not in _FIELD_TYPES]
    if missing or unknown:
        raise ValueError(f"missing fields {missing}, unknown fields {unknown}")
    return Result(**values)


def _replace(path: Path, text: str) -> None:
    """Writes the whole file so that a reader, or a crash, sees the old or the new content."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only the owner may read; keep the mode of the old file.
        os.chmod(temporary, path.stat().st_mode & 0o777)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
