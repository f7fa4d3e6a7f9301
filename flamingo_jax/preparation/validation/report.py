"""What `validate` found, for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from flamingo_jax.data.bad_samples import Reason
from flamingo_jax.preparation.validation.validate import PictureSizes, Size, Spread, Validation


def to_text(validations: Sequence[Validation]) -> str:
    """A block of lines for each dataset."""
    return "\n".join("".join(f"{line}\n" for line in _lines(found)) for found in validations)


def to_json(validations: Sequence[Validation]) -> str:
    """One JSON object: `ok`, and `datasets` with a list of objects."""
    fields = {
        "ok": all(found.is_ok for found in validations),
        "datasets": [_fields(found) for found in validations],
    }
    return json.dumps(fields, indent=2)


def _lines(found: Validation) -> list[str]:
    total = "without end" if found.num_samples is None else f"{found.num_samples:,}"
    lines = [
        f"{found.name} ({found.source}): {_verdict(found)}",
        _line("samples", f"{total}; looked at {found.num_looked_at:,}"),
        _line("usable", f"{found.num_usable:,} ({_share(found.num_usable, found)})"),
    ]
    for reason, count in _ordered(found.refused):
        rule = ", as the config asks for" if reason.is_rule else ""
        lines.append(_line("", f"{reason.value} {count:,} ({_share(count, found)}){rule}"))
    for reason, count in _ordered(found.problems):
        lines.append(_line("files", f"{reason.value} {count:,}"))
    if found.characters:
        lines.append(_line("characters", _spread(found.characters)))
    if found.tokens:
        lines.append(_line("tokens", _spread(found.tokens)))
    if found.pictures:
        lines.append(_line("pictures", f"{_spread(found.pictures)} a sample"))
    if found.sizes:
        smallest, median, largest = map(_size, _all(found.sizes))
        lines.append(_line("sizes", f"median {median}, from {smallest} to {largest}"))
    if found.first_problem:
        lines.append(_line("first of files", printable(found.first_problem)))
    if found.first_bad:
        lines.append(_line("first bad", printable(found.first_bad)))
    return lines


def _verdict(found: Validation) -> str:
    if not found.num_usable:
        return "NOTHING USABLE"
    share = f"{found.bad_share:.1%} bad, max_bad_share is {found.max_bad_share:.1%}"
    return f"ok ({share})" if found.is_ok else f"TOO MANY ARE BAD ({share})"


def _line(title: str, text: str) -> str:
    return f"  {title:<15} {text}"


def _share(count: int, found: Validation) -> str:
    return f"{count / max(found.num_looked_at, 1):.1%}"


def _spread(spread: Spread) -> str:
    return f"median {spread.median:,}, from {spread.least:,} to {spread.largest:,}"


def _size(size: Size) -> str:
    width, height = size
    return f"{width} x {height}"


def _all(sizes: PictureSizes) -> tuple[Size, Size, Size]:
    return sizes.smallest, sizes.median, sizes.largest


def _ordered(counts: Mapping[Reason, int]) -> list[tuple[Reason, int]]:
    """The most frequent first."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0].value))


def _fields(found: Validation) -> dict[str, Any]:
    def spread(numbers: Spread | None) -> dict[str, int] | None:
        if numbers is None:
            return None
        return {"least": numbers.least, "median": numbers.median, "largest": numbers.largest}

    sizes = None
    if found.sizes:
        smallest, median, largest = map(list, _all(found.sizes))
        sizes = {"smallest": smallest, "median": median, "largest": largest}
    return {
        "name": found.name,
        "source": found.source,
        "ok": found.is_ok,
        "num_samples": found.num_samples,
        "num_looked_at": found.num_looked_at,
        "num_usable": found.num_usable,
        "usable_share": found.num_usable / max(found.num_looked_at, 1),
        "bad_share": found.bad_share,
        "max_bad_share": found.max_bad_share,
        "refused": {reason.value: count for reason, count in _ordered(found.refused)},
        "problems": {reason.value: count for reason, count in _ordered(found.problems)},
        "first_bad": found.first_bad or None,
        "first_problem": found.first_problem or None,
        "characters": spread(found.characters),
        "tokens": spread(found.tokens),
        "pictures": spread(found.pictures),
        "sizes": sizes,
    }


def printable(text: str) -> str:
    """A text without characters that would move a terminal's cursor: names come from data."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
