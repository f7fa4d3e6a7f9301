"""Exact match: the normalisation, and what it must not forgive."""

from __future__ import annotations

import pytest

from flamingo_jax.evaluation.metrics.exact_match import exact_match, normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  A Red\tSeven. ", "a red seven"),
        ("a  red\n seven .", "a red seven"),
        ("a red seven..", "a red seven."),
        ("3.5", "3.5"),
        (".", ""),
        ("", ""),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


def test_scores_are_points_per_item() -> None:
    scores = exact_match(
        ["A red 7.", "a red 7", "the red 7", "red, 7"],
        [["a red 7"], ["a blue 7", "a red  7."], ["a red 7"], ["red 7"]],
    )
    assert scores.tolist() == [100.0, 100.0, 0.0, 0.0]


def test_misuse_is_refused() -> None:
    with pytest.raises(TypeError, match="item 0"):
        exact_match(["a"], ["a"])
    with pytest.raises(ValueError, match="item 1"):
        exact_match(["a", "b"], [["a"], []])
    with pytest.raises(ValueError, match="2 predictions"):
        exact_match(["a", "b"], [["a"]])
    with pytest.raises(ValueError, match="no items"):
        exact_match([], [])
