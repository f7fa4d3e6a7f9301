"""Nested dicts to frozen dataclasses: field names, types and values checked, one line on errors."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flamingo_jax.core.errors import UserError

replace = dataclasses.replace


def check(condition: bool, field: str, value: object, expected: str) -> None:
    """Raises a UserError that names field, value and what is expected, unless `condition`."""
    if not condition:
        raise UserError(f"config.{field} is {value}: expected {expected}")


def check_choice(field: str, value: str, choices: Sequence[str]) -> None:
    """Raises a UserError that lists the choices unless `value` is one of them."""
    check(value in choices, field, repr(value), f"one of {', '.join(choices)}")


def build(record: type[Any], fields: Mapping[str, Any], path: str) -> Any:
    """Makes a dataclass, and those nested in it, from a nested dict.

    Args:
      record: a dataclass whose fields are of type int, float, str, bool, another such dataclass,
        a tuple of these (`tuple[X, ...]`), or one of these or None (`X | None`).
      fields: the values; lists stand for tuples, and an int may stand for a float.
      path: how to name `fields` in messages ("config.model").

    Returns:
      The dataclass.

    Raises:
      UserError: a field that is unknown, missing, or of another type.
    """
    if not isinstance(fields, Mapping):
        raise UserError(f"{path} is {fields!r}: expected the fields of {record.__name__}")
    known = {field.name: field for field in dataclasses.fields(record)}
    for name in fields:
        if name not in known:
            raise UserError(unknown_field(path, name, known))
    hints = typing.get_type_hints(record)
    values = {}
    for name, field in known.items():
        if name in fields:
            values[name] = _convert(hints[name], fields[name], f"{path}.{name}")
        elif field.default is dataclasses.MISSING:
            raise UserError(f"{path}.{name} is missing: the config file must set it")
    return record(**values)


def unknown_field(path: str, name: str, known: Iterable[str]) -> str:
    """The message about a field that does not exist, with the nearest one that does."""
    known = sorted(known)
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if nearest:
        return f"{path}.{name} does not exist: did you mean {path}.{nearest[0]}?"
    return f"{path}.{name} does not exist: the fields of {path} are {', '.join(known)}"


def _convert(hint: Any, value: Any, path: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        (hint,) = (kind for kind in typing.get_args(hint) if kind is not types.NoneType)
        return _convert(hint, value, path)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise UserError(f"{path} is {value!r}: expected a list")
        item = typing.get_args(hint)[0]
        return tuple(_convert(item, child, f"{path}[{i}]") for i, child in enumerate(value))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return build(hint, value, path)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise UserError(f"{path} is {value!r}: expected {hint.__name__}")
    return value
