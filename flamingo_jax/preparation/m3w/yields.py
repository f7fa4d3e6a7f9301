"""How many pages and pictures came in and went out, and which rule dropped the others."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from flamingo_jax.preparation.m3w.rules import ImageRule, PageRule

PAGES, IMAGES = "pages", "images"
IN, OUT = "in", "out"
JSON_NAME, MARKDOWN_NAME = "yield.json", "yield.md"

Counts = Counter[tuple[str, str]]
"""{(PAGES or IMAGES, IN, OUT or a rule's value): how many}; counts of parts add up."""

_RULES: Mapping[str, tuple[str, ...]] = {
    PAGES: tuple(rule.value for rule in PageRule),
    IMAGES: tuple(rule.value for rule in ImageRule),
}


def summary(counts: Mapping[tuple[str, str], int]) -> dict[str, Any]:
    """The counts as `yield.json` has them; what comes in is what goes out and what is dropped."""
    return {
        kind: {
            IN: counts.get((kind, IN), 0),
            OUT: counts.get((kind, OUT), 0),
            "dropped": {
                rule: counts[kind, rule] for rule in _RULES[kind] if counts.get((kind, rule))
            },
        }
        for kind in (PAGES, IMAGES)
    }


def to_json(counts: Mapping[tuple[str, str], int], settings: Mapping[str, Any]) -> str:
    """The text of `yield.json`: the counts, and the settings that led to them."""
    return json.dumps(summary(counts) | {"settings": dict(settings)}, indent=2) + "\n"


def to_markdown(counts: Mapping[tuple[str, str], int]) -> str:
    """The text of `yield.md`: one table for pages and one for pictures."""
    found = summary(counts)
    return "\n".join(_table(kind, found[kind]) for kind in (PAGES, IMAGES))


def _table(kind: str, found: Mapping[str, Any]) -> str:
    total = max(1, found[IN])
    rows = [(IN, found[IN]), *found["dropped"].items(), (OUT, found[OUT])]
    lines = [f"| {kind} | number | share |", "|---|---|---|"]
    lines += [f"| {name} | {number} | {number / total:.1%} |" for name, number in rows]
    return "\n".join(lines) + "\n"
