"""Whether a run may go on from a checkpoint that was saved under another config."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flamingo_jax.core.errors import UserError

MAY_DIFFER = (
    "steps",
    "log_every_steps",
    "checkpoint",
    "mesh",
    "model.remat",
    "model.layers_apart",
    "model.vision_encoder.images_at_once",
    "evaluation",
    "data_dir",
    "reader_threads",
)
"""Config fields that change nothing in what the saved arrays and data positions mean."""

MAY_DIFFER_IN_DATASETS = (
    "microbatches",
    "data_dir",
    "options.images",
    "options.index_dir",
    "max_bad_share",
)
"""The same of every dataset: its files may have moved, but not changed."""

_ABSENT = object()


def check_config(
    saved: Mapping[str, Any],
    current: Mapping[str, Any],
    ignored: Sequence[str] = MAY_DIFFER,
) -> None:
    """Refuses to go on from a checkpoint whose config does not fit.

    Args:
      saved: the config in the checkpoint's metadata, as JSON values.
      current: the config of this run, as JSON values (tuples count as lists).
      ignored: fields that may differ, with all below them: "checkpoint" stands for
        "checkpoint.keep" too, and "data[0].microbatches" for one field of the first dataset.

    Raises:
      UserError: names the first field (in the order of `current`) that differs, with both values.
    """
    saved_fields = dict(_fields("", json.loads(json.dumps(saved))))
    current_fields = dict(_fields("", json.loads(json.dumps(current))))
    for field in dict.fromkeys([*current_fields, *saved_fields]):
        if any(_is_below(field, prefix) for prefix in ignored):
            continue
        before = saved_fields.get(field, _ABSENT)
        now = current_fields.get(field, _ABSENT)
        # 1 and 1.0, or 1 and True, are equal in Python but not the same setting.
        if before is _ABSENT or now is _ABSENT or (type(before), before) != (type(now), now):
            raise UserError(
                f"config field {field!r} was {_shown(before)} when the checkpoint was saved and is"
                f" {_shown(now)} now; set it back, or start in another workdir"
            )


def _fields(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yields (field path, value) of every leaf; an empty container is a leaf of its own."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _fields(f"{prefix}.{key}" if prefix else key, below)
    elif isinstance(value, list) and value:
        for index, below in enumerate(value):
            yield from _fields(f"{prefix}[{index}]", below)
    else:
        yield prefix, value


def _is_below(field: str, prefix: str) -> bool:
    rest = field.removeprefix(prefix)
    return field.startswith(prefix) and (not rest or rest[0] in ".[")


def _shown(value: Any) -> str:
    return "absent" if value is _ABSENT else json.dumps(value)
