"""The leading space of a pair's text."""

from __future__ import annotations

from flamingo_jax.data import seeds
from flamingo_jax.data.ops.leading_space import add_leading_space


def _said(probability: float) -> list[str]:
    return [
        add_leading_space("red", probability, seeds.generator(0, "leading_space", "train", number))
        for number in range(1000)
    ]


def test_share_of_texts_with_a_space() -> None:
    assert set(_said(0.0)) == {"red"}
    assert set(_said(1.0)) == {" red"}
    half = _said(0.5)
    assert set(half) == {"red", " red"}
    assert 440 < half.count(" red") < 560  # within four standard deviations
    assert half == _said(0.5)
