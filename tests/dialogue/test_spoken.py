"""What is shown of an answer on its way."""

from __future__ import annotations

import pytest

from flamingo_jax.dialogue.spoken import Spoken, spoken

STOPS = ("\nUser:", "Question:")


@pytest.mark.parametrize(
    ("text", "shown", "ended"),
    [
        (" a cat", "a cat", False),
        (" a cat\n", "a cat", False),
        (" a cat\nUs", "a cat", False),
        (" a cat\nUser: and", "a cat", True),
        (" a cat\nUsers", "a cat\nUsers", False),
        (" a Quest", "a", False),
        (" a Question: \nUser:", "a", True),
        (" caf\N{REPLACEMENT CHARACTER}", "caf", False),
        ("", "", False),
    ],
)
def test_what_may_become_a_stop_is_held_back(text: str, shown: str, ended: bool) -> None:
    assert spoken(text, STOPS) == Spoken(shown, ended)


def test_a_whole_answer_holds_nothing_back() -> None:
    assert spoken(" what is a Quest ", STOPS, is_whole=True) == Spoken("what is a Quest", False)
    assert spoken(" a\nUser: b", STOPS, is_whole=True) == Spoken("a", True)


def test_what_was_shown_is_never_taken_back() -> None:
    whole = " The user\nUses Questions\nUse: a Question\nUser: no"
    shown = [spoken(whole[:length], STOPS).text for length in range(len(whole) + 1)]
    for before, after in zip(shown, shown[1:], strict=False):
        assert after.startswith(before)
    assert shown[-1] == "The user\nUses Questions\nUse: a Question"
