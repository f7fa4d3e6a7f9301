"""Reading files of annotations and results, with errors that say what is wrong where."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from flamingo_jax.core.errors import UserError

Id = int | str
Value = TypeVar("Value")


def read_json(path: str, flag: str) -> Any:
    """Reads a JSON file.

    Args:
      path: the file.
      flag: the command-line flag that names it, for messages.

    Raises:
      UserError: no file is named, it is missing, or it is not JSON.
    """
    try:
        return json.loads(_bytes(path, flag))
    except ValueError as error:  # Not JSON, or not UTF-8.
        raise UserError(f"--{flag}={path}: not JSON ({error})") from None


def read_json_lines(path: str, flag: str) -> list[Any]:
    """Reads a file of one JSON value a line, or of one JSON list.

    Args:
      path: the file.
      flag: the command-line flag that names it, for messages.

    Raises:
      UserError: as in `read_json`, or a line is not JSON.
    """
    content = _bytes(path, flag)
    if content.lstrip()[:1] == b"[":
        return list(read_json(path, flag))
    values = []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            if line.strip():
                values.append(json.loads(line))
        except ValueError as error:
            raise UserError(f"--{flag}={path}, line {number}: not JSON ({error})") from None
    return values


def read_table(path: str, flag: str) -> list[dict[str, str]]:
    """Reads a CSV file with a header.

    Args:
      path: the file.
      flag: the command-line flag that names it, for messages.

    Raises:
      UserError: no file is named, it is missing, or it is not UTF-8.
    """
    try:
        text = _bytes(path, flag).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"--{flag}={path}: not UTF-8 ({error})") from None
    return list(csv.DictReader(io.StringIO(text, newline="")))


def read_arrays(path: str, flag: str, names: Sequence[str]) -> list[np.ndarray]:
    """Reads arrays out of an .npz file.

    Args:
      path: the file, as `numpy.savez` writes it.
      flag: the command-line flag that names it, for messages.
      names: the arrays.

    Raises:
      UserError: no file is named, it is missing, not an .npz file, or lacks an array.
    """
    _bytes(path, flag)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise UserError(
            f"--{flag}={path}: no .npz file with the arrays {', '.join(names)} ({error})"
        ) from None


def _bytes(path: str, flag: str) -> bytes:
    if not path:
        raise UserError(f"--{flag} is missing; it names a file")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"--{flag}={path}: {error.strerror or error}") from None


def fields(path: str, flag: str, form: str, read: Callable[[], Value]) -> Value:
    """Takes fields out of what was read; what is missing becomes a UserError.

    Args:
      path: the file.
      flag: the command-line flag that names it.
      form: what the file should hold, for the message.
      read: takes the fields out.

    Raises:
      UserError: `read` did not find what it looked for.
    """
    try:
        return read()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        said = f"no {error}" if isinstance(error, KeyError) else error
        raise UserError(f"--{flag}={path}: expected {form} ({said})") from None


def by_id(pairs: Iterable[tuple[Id, Value]], path: str, flag: str) -> dict[Id, Value]:
    """Puts values under their ids.

    Args:
      pairs: ids and values.
      path: the file that they are from.
      flag: the command-line flag that names it.

    Raises:
      UserError: an id comes twice, or is neither a number nor a string.
    """
    found: dict[Id, Value] = {}
    for key, value in pairs:
        if isinstance(key, bool) or not isinstance(key, int | str):
            raise UserError(f"--{flag}={path}: the id {key!r} is neither a number nor a string")
        if key in found:
            raise UserError(f"--{flag}={path}: the id {key!r} comes twice")
        found[key] = value
    return found


def check_known(results: Mapping[Id, Any], annotations: Collection[Id], path: str) -> None:
    """Checks that every result is one of an annotated item.

    Args:
      results: results by id.
      annotations: the ids of the annotations.
      path: the file of the results.

    Raises:
      UserError: an id is unknown.
    """
    known = set(annotations)
    unknown = [key for key in results if key not in known]
    if not unknown:
        return
    other_type = int(unknown[0]) if str(unknown[0]).isdigit() else None
    hint = ""
    if isinstance(unknown[0], int) and str(unknown[0]) in known:
        hint = "; there the id is a string"
    elif isinstance(unknown[0], str) and other_type in known:
        hint = "; there the id is a number"
    raise UserError(
        f"--results={path}: {len(unknown)} of {len(results)} ids are not in the annotations, the"
        f" first of them {unknown[0]!r}{hint}"
    )


def check_complete(results: Collection[Id], annotations: Collection[Id], path: str) -> None:
    """Checks that every annotated item has a result.

    Args:
      results: the ids of the results.
      annotations: the ids of the annotations.
      path: the file of the results.

    Raises:
      UserError: one has none, or there are no annotated items.
    """
    if not annotations:
        raise UserError("there are no items in the annotations: nothing to score")
    missing = [key for key in annotations if key not in results]
    if missing:
        raise UserError(
            f"--results={path}: {len(missing)} of {len(annotations)} items have no result, the"
            f" first of them {missing[0]!r}; all must have one"
        )
