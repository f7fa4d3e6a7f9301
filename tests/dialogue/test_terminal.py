"""Conversations through a pipe."""

from __future__ import annotations

import io
from pathlib import Path

from flamingo_jax.dialogue.terminal import Terminal
from tests.dialogue import tiny
from tests.dialogue.scripted import ScriptedResponder


def _talk(lines: str, responder: ScriptedResponder | None = None) -> tuple[list[str], list[str]]:
    """What is answered, and what is noted."""
    answers, notes = io.StringIO(), io.StringIO()
    Terminal(
        responder or ScriptedResponder(), lines=io.StringIO(lines), answers=answers, notes=notes
    ).run()
    return answers.getvalue().splitlines(), notes.getvalue().splitlines()


def test_every_line_is_answered() -> None:
    answers, notes = _talk("hello\n\n  \nwhat is it ?\n")
    assert answers == [
        "Flamingo: (greedy) 0 pictures: hello",
        "Flamingo: (greedy) 0 pictures: what is it ?",
    ]
    assert notes == []


def test_files_in_the_text_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(tiny.png())
    (tmp_path / "b c").write_bytes(tiny.png())
    responder = ScriptedResponder()
    answers, _ = _talk(f"what is in {tmp_path}/a.png, or <{tmp_path}/b c> ?\n", responder)
    assert answers == ["Flamingo: (greedy) 2 pictures: what is in , or ?"]
    said = responder.asked[0].turns[0].said
    assert [part if isinstance(part, str) else part.name for part in said] == [
        "what is in", f"{tmp_path}/a.png", ", or", f"{tmp_path}/b c", "?",
    ]  # fmt: skip


def test_a_mistake_is_told_in_one_line_and_the_conversation_goes_on(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    responder = ScriptedResponder()
    answers, notes = _talk(
        f"hello\nwhat is in none.jpg ?\nand in {tmp_path}/broken.png\nbye\n", responder
    )
    assert len(answers) == 2
    assert notes == [
        "(none.jpg: no such file, or it may not be read)",
        f"(cannot use {tmp_path}/broken.png: truncated_image)",
    ]
    assert [turn.text for turn in responder.asked[-1].turns] == ["hello", "bye"]


def test_commands() -> None:
    responder = ScriptedResponder()
    answers, notes = _talk(
        "one\n/beam\ntwo\n/reset\n/greedy\nthree\n/dance\n/home/x is a path\n/quit\nfour\n",
        responder,
    )
    assert answers == [
        "Flamingo: (greedy) 0 pictures: one",
        "Flamingo: (beam) 0 pictures: two",
        "Flamingo: (greedy) 0 pictures: three",
        "Flamingo: (greedy) 0 pictures: /home/x is a path",
    ]
    assert notes == [
        "(answers are found by beam search)",
        "(a new conversation)",
        "(answers are found by greedy search)",
        "(there is no command /dance; /help shows those that there are)",
    ]
    assert [len(conversation.turns) for conversation in responder.asked] == [1, 2, 1, 2]


def test_turns_that_are_left_out_are_told_once() -> None:
    _, notes = _talk("one\ntwo\nthree\n", ScriptedResponder(max_turns=2))
    assert notes == [
        "(the model takes 72 tokens at a time: the oldest turn is left out from now on)"
    ]


def test_an_interrupted_answer_stays_as_it_is() -> None:
    responder = ScriptedResponder()
    answers, _ = _talk("interrupt\nand now?\n", responder)
    assert answers == ["Flamingo: I was …", "Flamingo: (greedy) 0 pictures: and now?"]
    assert responder.asked[-1].turns[0].answer == "I was"


def test_an_empty_answer_is_a_line() -> None:
    assert _talk("say nothing\n")[0] == ["Flamingo:"]
