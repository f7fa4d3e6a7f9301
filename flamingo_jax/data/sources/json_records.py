"""Records in JSON: bytes that may be anything to values of the expected types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from flamingo_jax.data.bad_samples import BadSample, Reason

Value = TypeVar("Value")

TEXT_IN_IMAGES = "text_in_images"


def parse(data: bytes, place: str) -> Any:
    """The value that JSON in UTF-8 stands for.

    Args:
        data: the bytes of a line or a file.
        place: where they are, for messages.

    Raises:
        BadSample: `NOT_UTF8` or `BROKEN_RECORD`.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadSample(Reason.NOT_UTF8, place, str(error)) from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadSample(Reason.BROKEN_RECORD, place, f"not JSON: {error}") from error


def parse_object(data: bytes, place: str) -> Mapping[str, Any]:
    """As `parse`, for a JSON object."""
    return expect(parse(data, place), dict, "the record", place)


def expect(value: Any, kind: type[Value], what: str, place: str) -> Value:
    """The value itself if it is of the expected type.

    Args:
        value: what stands in the record.
        kind: str, list, dict, bool ...
        what: how to name the value in messages.
        place: where the record is, for messages.

    Raises:
        BadSample: `BROKEN_RECORD`, it is of another type.
    """
    if not isinstance(value, kind):
        detail = f"{what} is of type {type(value).__name__}: expected {kind.__name__}"
        raise BadSample(Reason.BROKEN_RECORD, place, detail)
    return value


def expect_list(value: Any, kind: type[Value], what: str, place: str) -> list[Value]:
    """As `expect`, for a list whose items are all of one type."""
    items = expect(value, list, what, place)
    return [expect(item, kind, f"{what}[{number}]", place) for number, item in enumerate(items)]


def expect_list_with_nulls(
    value: Any, kind: type[Value], what: str, place: str
) -> list[Value | None]:
    """As `expect_list`, for a list that may also have nulls."""
    items = expect(value, list, what, place)
    return [
        None if item is None else expect(item, kind, f"{what}[{number}]", place)
        for number, item in enumerate(items)
    ]


def text_in_images(record: Mapping[str, Any], place: str) -> bool:
    """Whether a record says that its pictures show text.

    Raises:
        BadSample: `BROKEN_RECORD`, it says something else than true or false.
    """
    return expect(record.get(TEXT_IN_IMAGES, False), bool, TEXT_IN_IMAGES, place)
