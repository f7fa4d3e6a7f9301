"""Conversations as values."""

from __future__ import annotations

import pytest

from flamingo_jax.dialogue.conversation import Conversation
from tests.dialogue import tiny


def test_messages_and_answers_alternate() -> None:
    start = Conversation()
    asked = start.say([tiny.picture(), " what is this? "])
    answered = asked.hear(" a cat\n")
    assert start.turns == ()
    assert asked.turns[0].answer is None and asked.turns[0].text == "what is this?"
    assert answered.turns[0].answer == "a cat"
    with pytest.raises(ValueError, match="no answer yet"):
        asked.say(["and this?"])
    for conversation in (start, answered):
        with pytest.raises(ValueError, match="no message"):
            conversation.hear("a dog")


def test_pictures_stay_where_they_were_dropped() -> None:
    one, two = tiny.picture(1), tiny.picture(2)
    turn = Conversation().say(["compare", one, "with", two, ""]).turns[0]
    assert turn.said == ("compare", one, "with", two)
    assert turn.pictures == (one, two) and turn.text == "compare with"


@pytest.mark.parametrize("typed", ["a <image> b", "a <im<image>age> b", "<image>"])
def test_a_tag_that_is_typed_shows_no_picture(typed: str) -> None:
    conversation = Conversation().say([typed]).hear("it is <image>")
    assert "<image>" not in conversation.turns[0].text
    assert conversation.turns[0].answer == "it is"


def test_the_oldest_turn_is_left_out() -> None:
    conversation = Conversation().say(["one"]).hear("1").say(["two"])
    assert [turn.text for turn in conversation.without_oldest().turns] == ["two"]
