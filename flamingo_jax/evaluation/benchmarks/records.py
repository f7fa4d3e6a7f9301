"""Fields of annotation records, checked: what is wrong is said in one line with its place.

`place` names the record in messages: "okvqa: '/data/okvqa/val.json' questions[12]".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from flamingo_jax.core.errors import UserError

Value = TypeVar("Value")

_LARGEST = 1e300


def expect(value: Any, kind: type[Value], what: str, place: str) -> Value:
    """The value itself if it is of the expected type.

    Args:
      value: what stands in the file.
      kind: dict, list, str ...
      what: how to name it in messages.
      place: where it stands.

    Raises:
      UserError: it is of another type.
    """
    if not isinstance(value, kind):
        raise UserError(
            f"{place}: {what} is of type {type(value).__name__}; expected {kind.__name__}"
        )
    return value


def field(record: Mapping[str, Any], name: str, place: str) -> Any:
    """The value of a field that must be there.

    Raises:
      UserError: it is not.
    """
    if name not in record:
        raise UserError(f"{place} has no field {name!r}; its fields are {_names(record)}")
    return record[name]


def _names(record: Mapping[str, Any]) -> str:
    return ", ".join(sorted(record)) or "none"


def items(record: Any, name: str, place: str) -> list[Any]:
    """The list in a field of an object.

    Raises:
      UserError: there is no such object, field or list.
    """
    return expect(field(expect(record, dict, "it", place), name, place), list, name, place)


def objects(values: Iterable[Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a list, each behind its place for messages.

    Raises:
      UserError: one is no object.
    """
    for number, value in enumerate(values):
        where = f"{place}[{number}]"
        yield where, expect(value, dict, "it", where)


def clean(value: Any, what: str, place: str) -> str:
    """A text without NUL and outer white space.

    Raises:
      UserError: it is no string, or has halves of characters, which JSON can spell.
    """
    text = expect(value, str, what, place).replace("\0", "").strip()
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{place}: {what} has half of a character: {text!a:.60}") from None
    return text


def text(record: Mapping[str, Any], name: str, place: str) -> str:
    """The text of a field; see `clean`."""
    return clean(field(record, name, place), name, place)


def optional_texts(record: Mapping[str, Any], names: Iterable[str], place: str) -> dict[str, str]:
    """Those of several fields that are there, as texts."""
    return {name: text(record, name, place) for name in names if name in record}


def identifier(record: Mapping[str, Any], name: str, place: str) -> str:
    """An id as text: files of one benchmark write the same one as 42 and as "42".

    Raises:
      UserError: it is neither a whole number nor a text.
    """
    value = field(record, name, place)
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise UserError(f"{place}: {name} is {value!r:.60}; expected a whole number or a text")
    return str(value)


def coco_number(record: Mapping[str, Any], name: str, place: str) -> int:
    """The number of a picture of COCO.

    Raises:
      UserError: it is none.
    """
    given = identifier(record, name, place)
    # No int() of what only looks like digits: it takes "1_0", and other alphabets' digits.
    if not (given.isascii() and given.isdecimal() and len(given) <= 12):
        raise UserError(f"{place}: {name} is {given!r:.60}; expected the number of a COCO picture")
    return int(given)


def whole_number(record: Mapping[str, Any], name: str, below: int, place: str) -> int:
    """A whole number from 0 to `below` - 1.

    Raises:
      UserError: it is something else.
    """
    return in_range(field(record, name, place), name, below, place)


def in_range(value: Any, what: str, below: int, place: str) -> int:
    """The value itself if it is a whole number from 0 to `below` - 1.

    Raises:
      UserError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < below:
        raise UserError(
            f"{place}: {what} is {value!r:.60}; expected a whole number from 0 to {below - 1}"
        )
    return value


def number(value: Any, what: str, place: str, least: float = -math.inf) -> float:
    """A finite number, not below `least`.

    Raises:
      UserError: it is something else.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Whole numbers of JSON have no bound; those of too many digits are no float.
    if not is_number or not abs(value) < _LARGEST or value < least:
        bound = "" if math.isinf(least) else f" of at least {least:g}"
        raise UserError(f"{place}: {what} is {value!r:.60}; expected a number{bound}")
    return float(value)


def put_once(table: dict[str, Value], key: str, value: Value, what: str, place: str) -> None:
    """Puts a value under a key that must be new.

    Args:
      table: gets the value.
      key: the id.
      value: what has the id.
      what: how to name the id in messages.
      place: where it stands.

    Raises:
      UserError: the key is there already.
    """
    if key in table:
        raise UserError(f"{place}: the {what} {key!r} comes a second time")
    table[key] = value
