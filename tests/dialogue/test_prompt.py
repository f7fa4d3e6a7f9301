"""What the model reads of a conversation: text, ends of chunks, and phi."""

from __future__ import annotations

import pytest

from flamingo_jax.data import schema
from flamingo_jax.dialogue.conversation import Conversation
from flamingo_jax.dialogue.prompt import (
    INSTRUCTION,
    NUM_EXAMPLE_PICTURES,
    DialoguePrompt,
    Style,
    dialogue_style,
    make_dialogue_prompt,
    question_style,
)
from tests.dialogue import tiny

EOC = tiny.VOCABULARY.end_of_chunk_id


def _chunks(prompt: DialoguePrompt) -> list[str]:
    """The text between the ends of chunks."""
    chunks: list[list[int]] = [[]]
    for token in prompt.text:
        if token == EOC:
            chunks.append([])
        else:
            chunks[-1].append(token)
    return [tiny.VOCABULARY.decode(chunk) for chunk in chunks]


def _make(style: Style, conversation: Conversation) -> DialoguePrompt:
    prompt = make_dialogue_prompt(tiny.VOCABULARY, style, conversation)
    assert prompt.text[0] == schema.BOS_ID and prompt.text.count(schema.BOS_ID) == 1
    assert len(prompt.text) == len(prompt.media_index)
    return prompt


def test_the_paper_s_dialogue() -> None:
    conversation = dialogue_style().examples.say([tiny.picture(), "What is it?"])
    assert _chunks(_make(dialogue_style(), conversation)) == [
        INSTRUCTION
        + "\nUser:\nFlamingo: That is a cat. It's a tiny kitten with really cute big ears.",
        "\nUser:\nFlamingo: This is a picture of a group of people having dinner."
        " They are having a great time!",
        "\nUser: Can you guess what are they celebrating?\nFlamingo: They might be celebrating the"
        " end of a successful project or maybe a birthday?",
        "\nUser:\nFlamingo: This is a graph, it looks like a cumulative density function graph.",
        "\nUser: <image> What is it?\nFlamingo:",
    ]


def test_pictures_for_the_paper_s_examples() -> None:
    pictures = [tiny.picture(number) for number in range(NUM_EXAMPLE_PICTURES)]
    style = dialogue_style(pictures)
    prompt = _make(style, style.examples.say(["Hello"]))
    assert prompt.pictures == pictures
    assert ["<image>" in chunk for chunk in _chunks(prompt)] == [True, True, False, True, False]
    assert prompt.media_index[-1] == NUM_EXAMPLE_PICTURES
    with pytest.raises(ValueError, match="2 pictures, not 3"):
        dialogue_style(pictures[:2])


def test_every_token_sees_the_picture_before_it_and_a_tag_its_own() -> None:
    one, two = tiny.picture(1), tiny.picture(2)
    conversation = Conversation().say(["look:", one]).hear("fine").say([two, "and now?"])
    prompt = _make(dialogue_style(), conversation)
    assert prompt.pictures == [one, two]
    seen = {
        number: tiny.VOCABULARY.decode(
            token
            for token, phi in zip(prompt.text, prompt.media_index, strict=True)
            if phi == number
        )
        for number in range(3)
    }
    assert seen == {
        0: f"{INSTRUCTION}\nUser: look: ",
        1: "<image>\nFlamingo: fine\nUser: ",
        2: "<image> and now?\nFlamingo:",
    }


def test_questions_are_those_of_the_paper_s_prompts() -> None:
    style = question_style([("which ink?", "red")])
    conversation = style.examples.say([tiny.picture(), "how many?"]).hear("two").say(["where?"])
    assert _chunks(_make(style, conversation)) == [
        "Question: which ink? Answer: red",
        "<image>Question: how many? Answer: two",
        "Question: where? Answer:",
    ]
    captioned = Conversation().say([tiny.picture()])
    assert _chunks(_make(style, captioned)) == ["<image>Output:"]


def test_text_is_encoded_from_tag_to_tag_as_in_training() -> None:
    """An answer in the prompt has the tokens that it was generated as."""
    style = question_style()
    open_prompt = _make(style, Conversation().say([tiny.picture(), "which ink?"]))
    answered = Conversation().say([tiny.picture(), "which ink?"]).hear("red").say(["where?"])
    red = tiny.VOCABULARY.encode(" red")
    start = len(open_prompt.text)
    prompt = _make(style, answered)
    assert prompt.text[:start] == open_prompt.text
    assert prompt.text[start : start + len(red) + 1] == [*red, EOC]


def test_without_a_message_there_is_nothing_to_answer() -> None:
    for conversation in (Conversation(), Conversation().say(["a"]).hear("b")):
        with pytest.raises(ValueError, match="nothing|no message"):
            make_dialogue_prompt(tiny.VOCABULARY, dialogue_style(), conversation)
