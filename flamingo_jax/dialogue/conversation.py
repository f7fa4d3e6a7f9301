"""A conversation as a value: turns of text and pictures with their answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from flamingo_jax.data import schema


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Picture:
    """A picture or clip as the language model sees it, encoded once for the whole conversation.

    Attributes:
        name: what the person called it, for messages.
        latents: float [R, D], its visual tokens.
    """

    name: str
    latents: np.ndarray


Part = str | Picture
"""Of what a person says: text, or a picture where it was dropped into the text."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Turn:
    """What a person says, and the answer.

    Attributes:
        said: text and pictures in the order of the message.
        answer: None as long as there is none.
    """

    said: tuple[Part, ...]
    answer: str | None = None

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures in order."""
        return tuple(part for part in self.said if isinstance(part, Picture))

    @property
    def text(self) -> str:
        """The words alone."""
        return " ".join(part for part in self.said if isinstance(part, str))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conversation:
    """Turns, oldest first; only the last may be without an answer.

    Attributes:
        turns: the turns.
    """

    turns: tuple[Turn, ...] = ()

    def say(self, parts: Iterable[Part]) -> Conversation:
        """With a further message; an empty one is a turn without words.

        Args:
            parts: of the message. Spaces around text are left out, and so are tags written as
                text: a tag without a picture would shift the pictures of all that follow.

        Raises:
            ValueError: the last message has no answer yet.
        """
        if self.turns and self.turns[-1].answer is None:
            raise ValueError("the last message has no answer yet")
        cleaned = (part if isinstance(part, Picture) else _clean(part) for part in parts)
        return Conversation(turns=(*self.turns, Turn(said=tuple(part for part in cleaned if part))))

    def hear(self, answer: str) -> Conversation:
        """With the answer to the last message.

        Raises:
            ValueError: there is no message, or it has an answer.
        """
        if not self.turns or self.turns[-1].answer is not None:
            raise ValueError("there is no message to answer")
        last = dataclasses.replace(self.turns[-1], answer=_clean(answer))
        return Conversation(turns=(*self.turns[:-1], last))

    def without_oldest(self) -> Conversation:
        """Without its first turn."""
        return Conversation(turns=self.turns[1:])


def _clean(text: str) -> str:
    while schema.IMAGE_TAG in text:  # Taking one out may leave another: "<im<image>age>".
        text = text.replace(schema.IMAGE_TAG, "")
    return text.strip()
