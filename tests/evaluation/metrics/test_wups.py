"""WUPS: values of NExT-OE's code over a tiny WordNet, and cases worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from flamingo_jax.evaluation.metrics.wordnet import WordNet
from flamingo_jax.evaluation.metrics.wups import wups
from tests.evaluation.metrics import golden, tiny_wordnet


class Colours:
    """A lexicon in which two colours are half alike, and nothing else is."""

    def base_forms(self, sentence: str) -> list[str]:
        return sentence.split()

    def similarity(self, first: str, second: str) -> float:
        return 0.5 if {first, second} <= {"red", "blue"} else 0.0


def test_stored_values_of_next_oe(tmp_path: Path) -> None:
    tiny_wordnet.write(tmp_path)
    wordnet = WordNet(tmp_path)

    class Divided(Colours):
        """As the stored values: words at spaces, no base forms."""

        def similarity(self, first: str, second: str) -> float:
            return wordnet.similarity(first, second)

    rows = golden.load("wups.json")["tiny"]
    predictions, references = [row[0] for row in rows], [[row[1]] for row in rows]
    for alpha, column in ((0.0, 2), (0.9, 3)):
        found = wups(predictions, references, Divided(), alpha=alpha)
        expected = [100 * row[column] for row in rows]
        assert found.tolist() == pytest.approx(expected, abs=golden.TOLERANCE)
    assert len({row[2] for row in rows}) > 20


@pytest.mark.parametrize(
    ("prediction", "reference", "points"),
    [
        ("red", "red", 100),
        ("red", "blue", 50),
        ("red red", "blue", 25),  # A product over the words.
        ("red x", "red", 100),  # What is like nothing is passed over...
        ("x", "y", 0),  # ... unless nothing is like anything.
        ("", "red", 0),
    ],
)
def test_by_hand(prediction: str, reference: str, points: float) -> None:
    assert wups([prediction], [[reference]], Colours()).tolist() == [points]


def test_below_alpha_a_tenth_is_left() -> None:
    assert wups(["red"], [["blue"]], Colours(), alpha=0.9)[0] == pytest.approx(5)


def test_best_reference_stop_words_and_same_words() -> None:
    assert wups(["red"], [["x", "blue"]], Colours()).tolist() == [50.0]
    assert wups(["the red"], [["the x"]], Colours()).tolist() == [100.0]
    assert wups(["the red"], [["the x"]], Colours(), stop_words=["the"]).tolist() == [0.0]
    same = wups(["red", "red"], [["blue"], ["x", "red"]], Colours(), needs_same_words=[True] * 2)
    assert same.tolist() == [0.0, 100.0]
