"""VQA accuracy: the official normalisation, and the leave-one-out score worked out by hand."""

from __future__ import annotations

import pytest

from flamingo_jax.evaluation.metrics.vqa_accuracy import normalise, vqa_accuracy


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The Cat.", "cat"),
        ("an apple and a pear", "apple and pear"),
        ("none", "0"),
        ("Two dogs", "2 dogs"),
        ("eleven", "eleven"),
        # A mark beside a space goes without a trace, one between letters leaves a space.
        ("red, white", "red white"),
        ("red,white", "red white"),
        ("t-shirt", "t shirt"),
        ("yes!", "yes"),
        # With a comma between digits, every mark goes without a trace.
        ("1,000-2,000", "10002000"),
        # Full stops go unless a digit follows.
        ("3.5", "3.5"),
        ("u.s. mail", "us mail"),
        ("$.50", "$.50"),
        # Colons and apostrophes stay.
        ("10:30", "10:30"),
        ("dog's", "dog's"),
        ("dont", "don't"),
        ("couldnt've", "couldn't've"),
        ("couldn'tve", "couldn't've"),
        ("couldntve", "couldntve"),
        ("y'alld've", "y'all'd've"),
        ("'ows'at", "'ow's'at"),
        ("twas", "'twas"),
        ("somebody'd", "somebodyd"),
        # Entries that the official table cannot reach, since it is asked in lower case.
        ("Im", "im"),
        ("Ive", "ive"),
        # Words that the official table leaves alone.
        ("its", "its"),
        ("shes", "shes"),
        ("wed", "wed"),
        (" two\nlines ", "2 lines"),
    ],
)
def test_normalise(answer: str, expected: str) -> None:
    assert normalise(answer) == expected


def test_at_most_32_full_stops_go() -> None:
    assert normalise("." * 40) == "." * 8


@pytest.mark.parametrize(("matches", "points"), [(0, 0), (1, 30), (2, 60), (3, 90), (4, 100)])
def test_leave_one_out(matches: int, points: float) -> None:
    # Of ten people, m gave the answer: m of the ten subsets hold m - 1 matches, the others m.
    answers = ["blue"] * matches + [f"other {index}" for index in range(10 - matches)]
    (score,) = vqa_accuracy(["blue"], [answers])
    assert score == pytest.approx(points)


def test_all_ten_agree() -> None:
    assert vqa_accuracy(["Blue "], [["blue"] * 10]).tolist() == [100.0]
    # Nothing but case and outer spaces is normalised then.
    assert vqa_accuracy(["the blue"], [["blue"] * 10]).tolist() == [0.0]
    assert vqa_accuracy(["the blue"], [["blue"] * 9 + ["red"]]).tolist() == [100.0]


def test_people_are_normalised_too() -> None:
    answers = ["2", "two", "Two.", "the 2", "dog", "dog", "cat", "cat", "cow", "cow"]
    assert vqa_accuracy(["two"], [answers]).tolist() == [100.0]


def test_items_are_scored_apart_in_order() -> None:
    answers = [["yes"] * 10, ["no"] * 10]
    assert vqa_accuracy(["no", "no"], answers).tolist() == [0.0, 100.0]


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        vqa_accuracy(["yes"], [["yes"] * 3])
    with pytest.raises(TypeError, match="item 0"):
        vqa_accuracy(["yes"], ["yes"])
