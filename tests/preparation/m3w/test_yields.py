"""The tables of a run."""

from __future__ import annotations

import json
from collections import Counter

from flamingo_jax.preparation.m3w.rules import ImageRule, PageRule
from flamingo_jax.preparation.m3w.yields import summary, to_json, to_markdown

COUNTS = Counter(
    {
        ("pages", "in"): 40,
        ("pages", "no_image_left"): 1,
        ("pages", "unreadable"): 9,
        ("pages", "out"): 30,
        ("images", "in"): 3,
        ("images", "out"): 3,
    }
)


def test_rules_stand_in_their_order_and_without_zeros() -> None:
    found = summary(COUNTS)
    assert found["pages"] == {"in": 40, "out": 30, "dropped": {"unreadable": 9, "no_image_left": 1}}
    assert list(found["pages"]["dropped"]) == ["unreadable", "no_image_left"]
    assert found["images"] == {"in": 3, "out": 3, "dropped": {}}
    assert summary(Counter())["pages"] == {"in": 0, "out": 0, "dropped": {}}


def test_no_rule_is_left_out() -> None:
    counts = Counter({("pages", rule.value): 1 for rule in PageRule})
    counts.update({("images", rule.value): 1 for rule in ImageRule})
    found = summary(counts)
    assert len(found["pages"]["dropped"]) == len(PageRule)
    assert len(found["images"]["dropped"]) == len(ImageRule)


def test_json() -> None:
    found = json.loads(to_json(COUNTS, {"min_words": 50}))
    assert found == {**summary(COUNTS), "settings": {"min_words": 50}}


def test_markdown() -> None:
    lines = to_markdown(COUNTS).splitlines()
    assert lines[:6] == [
        "| pages | number | share |",
        "|---|---|---|",
        "| in | 40 | 100.0% |",
        "| unreadable | 9 | 22.5% |",
        "| no_image_left | 1 | 2.5% |",
        "| out | 30 | 75.0% |",
    ]
    assert "0.0%" in to_markdown(Counter())
