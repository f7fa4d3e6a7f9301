"""A stand-in that answers by rule, for what only passes messages on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.dialogue.conversation import Conversation, Picture
from flamingo_jax.dialogue.responder import Fitted, Limits


class ScriptedResponder:
    """Says "(decoding) n pictures: text", growing word by word; has room for `max_turns` turns."""

    def __init__(self, max_turns: int = 100) -> None:
        self.limits = Limits(max_length=72, max_answer_length=12)
        self.viewer = self
        self.max_turns = max_turns
        self.asked: list[Conversation] = []

    def look(self, medium: Any) -> Picture:
        if b"broken" in medium.data:
            raise UserError(f"cannot use {medium.name}: truncated_image")
        return Picture(name=medium.name, latents=np.zeros((1, 1)))

    def begin(self) -> Fitted:
        return Fitted(Conversation(), 0)

    def fit(self, conversation: Conversation) -> Fitted:
        num_dropped = max(len(conversation.turns) - self.max_turns, 0)
        return Fitted(Conversation(turns=conversation.turns[num_dropped:]), num_dropped)

    def answer(self, conversation: Conversation, decoding: str) -> Iterator[str]:
        self.asked.append(conversation)
        turn = conversation.turns[-1]
        if turn.text == "interrupt":
            yield "I was"
            raise KeyboardInterrupt
        if turn.text == "say nothing":
            yield ""
            return
        answer = f"({decoding}) {len(turn.pictures)} pictures: {turn.text}"
        words = answer.split(" ")
        for number in range(1, len(words) + 1):
            yield " ".join(words[:number])
