"""Conversations as prompts: the paper's dialogue (v1, appendix D), and question after question.

The paper's prompt is an instruction and three turns with pictures, which are not published. They
stand here without picture and tag, as the paper's text-only examples do (section 4.2), unless
pictures for them are given. `<EOC>` ends every answer, as it ends the examples of a few-shot
prompt; where the paper's dialogue has it is not said.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterator, Sequence

from flamingo_jax.data import schema
from flamingo_jax.data.vocabulary import Vocabulary
from flamingo_jax.dialogue.conversation import Conversation, Part, Picture, Turn

DIALOGUE, QUESTION = "dialogue", "question"

INSTRUCTION = (
    "This is a conversation between a human, User, and an intelligent visual AI, Flamingo."
    " User sends images, and Flamingo describes them."
)

_EXAMPLES = (
    (True, "", "That is a cat. It's a tiny kitten with really cute big ears."),
    (
        True,
        "",
        "This is a picture of a group of people having dinner. They are having a great time!",
    ),
    (
        False,
        "Can you guess what are they celebrating?",
        "They might be celebrating the end of a successful project or maybe a birthday?",
    ),
    (True, "", "This is a graph, it looks like a cumulative density function graph."),
)
"""Turns of the paper's prompt: whether with a picture, what User says, what Flamingo says."""

NUM_EXAMPLE_PICTURES = sum(has_picture for has_picture, _, _ in _EXAMPLES)


class End(enum.Enum):
    """What stands for `<EOC>` among the pieces of a prompt."""

    OF_CHUNK = enum.auto()


Piece = str | Picture | End


@dataclasses.dataclass(frozen=True, kw_only=True)
class Style:
    """How a conversation is written down.

    Attributes:
        name: on the command line.
        instruction: text in front of all turns.
        examples: turns that a conversation begins with.
        write: a turn, up to where its answer begins.
        stops: texts with which the model would go on in the person's place: an answer ends there.
    """

    name: str
    instruction: str
    examples: Conversation
    write: Callable[[Turn], Iterator[Piece]]
    stops: tuple[str, ...]


class DialoguePrompt:
    """Tokens of a conversation up to where the answer begins.

    Attributes:
        text: token ids.
        media_index: phi of every token; the answer goes on with the last one.
        pictures: in the order of their tags.
    """

    def __init__(self) -> None:
        """Begins with `<BOS>`."""
        self.text = [schema.BOS_ID]
        self.media_index = [0]
        self.pictures: list[Picture] = []

    def add(self, tokens: Sequence[int]) -> None:
        """Tokens that see the picture before them."""
        self.text += tokens
        self.media_index += [len(self.pictures)] * len(tokens)

    def show(self, picture: Picture, tag: Sequence[int]) -> None:
        """A picture's tag, which sees the picture already."""
        self.pictures.append(picture)
        self.add(tag)


def dialogue_style(pictures: Sequence[Picture] = ()) -> Style:
    """The paper's dialogue.

    Args:
        pictures: of a kitten, of people at dinner, and of the graph of a cumulative distribution,
            for the example turns; without them the turns are text alone.

    Raises:
        ValueError: neither no picture nor all of them.
    """
    if len(pictures) not in (0, NUM_EXAMPLE_PICTURES):
        raise ValueError(f"{len(pictures)} pictures, not {NUM_EXAMPLE_PICTURES}")
    examples, left = Conversation(), list(pictures)
    for has_picture, said, answer in _EXAMPLES:
        parts: list[Part] = [left.pop(0), said] if has_picture and left else [said]
        examples = examples.say(parts).hear(answer)
    stops = ("\nUser:", "\nFlamingo:")
    return Style(
        name=DIALOGUE,
        instruction=INSTRUCTION,
        examples=examples,
        write=_dialogue_turn,
        stops=stops,
    )


def question_style(examples: Sequence[tuple[str, str]] = ()) -> Style:
    """Questions as in the paper's question answering; a picture without a question is captioned.

    Args:
        examples: questions and answers without pictures, for the model to see their form.
    """
    conversation = Conversation()
    for question, answer in examples:
        conversation = conversation.say([question]).hear(answer)
    stops = ("Question:", "Output:", schema.IMAGE_TAG)
    return Style(
        name=QUESTION, instruction="", examples=conversation, write=_question_turn, stops=stops
    )


def make_dialogue_prompt(
    vocabulary: Vocabulary, style: Style, conversation: Conversation
) -> DialoguePrompt:
    """Writes a conversation down.

    Args:
        vocabulary: of the language model.
        style: how; its examples are not added, they are the beginning of a conversation.
        conversation: the last message has no answer yet.

    Returns:
        The prompt, up to "Flamingo:" or "Answer:".

    Raises:
        ValueError: there is nothing to answer.
    """
    if not conversation.turns or conversation.turns[-1].answer is not None:
        raise ValueError("there is no message to answer")
    prompt = DialoguePrompt()
    tag = vocabulary.encode(schema.IMAGE_TAG)
    text = ""
    for piece in _pieces(style, conversation):
        # Text is encoded from tag to tag, as in training.
        if isinstance(piece, str):
            text += piece
            continue
        prompt.add(vocabulary.encode(text))
        text = ""
        if isinstance(piece, Picture):
            prompt.show(piece, tag)
        else:
            prompt.add([vocabulary.end_of_chunk_id])
    prompt.add(vocabulary.encode(text))
    return prompt


def _pieces(style: Style, conversation: Conversation) -> Iterator[Piece]:
    """Text, pictures and ends of a conversation in order."""
    yield style.instruction
    for turn in conversation.turns:
        yield from style.write(turn)
        if turn.answer is not None:
            # The space belongs to the answer's first token.
            yield f" {turn.answer}"
            yield End.OF_CHUNK


def _dialogue_turn(turn: Turn) -> Iterator[Piece]:
    """A line "User: <image> what is this?" and one that begins with "Flamingo:"."""
    yield "\nUser:"
    for part in turn.said:
        yield " "
        yield part
    yield "\nFlamingo:"


def _question_turn(turn: Turn) -> Iterator[Piece]:
    """The form "<image>Question: what is this? Answer:", or "<image>Output:"."""
    yield from turn.pictures
    yield f"Question: {turn.text} Answer:" if turn.text else "Output:"
