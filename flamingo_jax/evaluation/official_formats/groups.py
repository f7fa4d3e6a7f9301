"""Groups of items, for differences between them: `{"391895": "female", "60623": "male"}`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.official_formats.files import Id

_FORM = '{"image_id": "group"}'


class Grouped(NamedTuple):
    """Scored items that have a group.

    Attributes:
      scores: of each.
      groups: of each.
      warnings: how many items and ids are left out, each in one line.
    """

    scores: tuple[float, ...]
    groups: tuple[str, ...]
    warnings: tuple[str, ...]


def read_groups(path: str) -> dict[str, str]:
    """Reads a file of groups.

    Args:
      path: one JSON object, from ids to names of groups. JSON has but texts for keys, so the id 7
        stands there as "7".

    Raises:
      UserError: the file is missing or has another form, or an id comes twice.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise UserError(f"--groups={path}: the id {twice!r} comes twice")
        return found

    try:
        content = json.loads(Path(path).read_bytes(), object_pairs_hook=unique)
    except OSError as error:
        raise UserError(f"--groups={path}: {error.strerror or error}") from None
    except ValueError as error:
        raise UserError(f"--groups={path}: not JSON ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f"--groups={path}: expected {_FORM}, not a {type(content).__name__}")
    for key, group in content.items():
        if not isinstance(group, str) or not group:
            raise UserError(f"--groups={path}: the group of {key!r} is {group!r}; expected {_FORM}")
    return content


def join_groups(path: str, per_item: Sequence[tuple[Id, float]]) -> Grouped:
    """Joins scores with the groups of a file. Items without a group are left out.

    Args:
      path: file of the groups.
      per_item: id and score of every item.

    Raises:
      UserError: as in `read_groups`; or two ids are the same text (7 and "7"), or no item has a
        group.
    """
    groups = read_groups(path)
    scores: dict[str, float] = {}
    for key, score in per_item:
        if str(key) in scores:
            raise UserError(f"--groups={path}: the number {key} and the text are both ids of items")
        scores[str(key)] = score
    joined = [key for key in scores if key in groups]
    if not joined:
        raise UserError(f"--groups={path}: none of its {len(groups)} ids has been scored")
    warnings = []
    if len(joined) < len(scores):
        warnings.append(f"{len(scores) - len(joined)} of {len(scores)} scored items have no group")
    if len(joined) < len(groups):
        count = len(groups) - len(joined)
        warnings.append(f"{count} of the {len(groups)} ids of --groups have not been scored")
    return Grouped(
        scores=tuple(scores[key] for key in joined),
        groups=tuple(groups[key] for key in joined),
        warnings=tuple(warnings),
    )
