"""A trained Flamingo that answers in conversations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.dialogue.conversation import Conversation
from flamingo_jax.dialogue.greedy import GreedyDecoder
from flamingo_jax.dialogue.padding import pad_prompt
from flamingo_jax.dialogue.prompt import DialoguePrompt, Style, make_dialogue_prompt
from flamingo_jax.dialogue.spoken import spoken
from flamingo_jax.dialogue.viewer import Viewer
from flamingo_jax.evaluation.answering import FewShotModel
from flamingo_jax.evaluation.decoding import make_beam_search

GREEDY, BEAM = "greedy", "beam"
DECODINGS = (GREEDY, BEAM)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """What a responder takes and gives.

    Attributes:
        max_length: tokens of prompt and answer together.
        max_answer_length: tokens of an answer, `<EOC>` included.
        beam_width: beams of the beam search.
        length_penalty: see `make_beam_search`.
    """

    max_length: int
    max_answer_length: int
    beam_width: int = 3
    length_penalty: float = 0.0


class Fitted(NamedTuple):
    """A conversation that a model can take.

    Attributes:
        conversation: without the oldest turns, if need be.
        num_dropped: how many were left out.
    """

    conversation: Conversation
    num_dropped: int


class Responder:
    """Answers messages. May be called from several threads.

    Attributes:
        style: how conversations are written down.
        viewer: encodes the pictures of messages.
        limits: of prompts and answers.
        greedy: what decodes greedily.
    """

    def __init__(self, model: FewShotModel, viewer: Viewer, style: Style, limits: Limits) -> None:
        """Compiles nothing yet."""
        functions = model.functions
        self.style = style
        self.viewer = viewer
        self.limits = limits
        self._model = model
        self.greedy = GreedyDecoder(
            functions, model.decoding_params, viewer.latents_shape, limits.max_answer_length
        )
        self._prefill = jax.jit(functions.prefill, static_argnums=5)
        self._search = jax.jit(
            make_beam_search(
                functions,
                beam_width=limits.beam_width,
                max_length=limits.max_answer_length,
                length_penalty=limits.length_penalty,
            )
        )

    def begin(self) -> Fitted:
        """A new conversation: the example turns of the style, as many as leave room to talk.

        Raises:
            UserError: there is no room for a message beside the style's instruction.
        """
        room = self._room
        needed = len(self._prompt(Conversation().say([])).text)
        if needed >= room:
            raise UserError(
                f"the {self.style.name} prompt takes {needed} tokens, and this model has room for"
                f" {room} beside the answer: choose another --prompt, or try a larger --max_length"
                " than it was trained on"
            )
        # Half of the room is for what the examples are there for.
        return self._shorten(self.style.examples, max(room // 2, needed), keeps_last=False)

    def fit(self, conversation: Conversation) -> Fitted:
        """Leaves out as many of the oldest turns as must be for the answer to have room.

        Args:
            conversation: with a message to answer.

        Raises:
            UserError: the message alone is too long.
        """
        room = self._room
        fitted = self._shorten(conversation, room, keeps_last=True)
        num_tokens = len(self._prompt(fitted.conversation).text)
        if num_tokens > room:
            raise UserError(
                f"the message is too long: with the instruction it takes {num_tokens} tokens, and"
                f" this model has room for {room} beside the answer"
            )
        return fitted

    def answer(self, conversation: Conversation, decoding: str = GREEDY) -> Iterator[str]:
        """Answers the last message.

        Args:
            conversation: that fits.
            decoding: "greedy": the answer grows token by token; "beam": it comes as a whole.

        Yields:
            The answer so far, at least once, each beginning with the one before; the last is whole.
        """
        prompt = self._prompt(conversation)
        if decoding == BEAM:
            yield self._beam_answer(prompt)
            return
        vocabulary, stops = self._model.vocabulary, self.style.stops
        tokens: list[int] = []
        shown = None
        for token in self.greedy(prompt):
            tokens.append(token)
            so_far = spoken(vocabulary.decode(tokens), stops)
            if so_far.ended:
                break
            if so_far.text and so_far.text != shown:
                shown = so_far.text
                yield shown
        whole = spoken(vocabulary.decode(tokens), stops, is_whole=True).text
        if whole != shown:
            yield whole

    @property
    def _room(self) -> int:
        """Tokens of a prompt at most."""
        return self.limits.max_length - self.limits.max_answer_length

    def _beam_answer(self, prompt: DialoguePrompt) -> str:
        padded = pad_prompt(prompt, self.viewer.latents_shape)
        max_length = padded.text.shape[1] + self.limits.max_answer_length
        params = self._model.decoding_params
        logits, cache = self._prefill(params, *padded, max_length)
        tokens_1L, _ = self._search(params, logits, cache)
        text = self._model.vocabulary.decode(np.asarray(tokens_1L)[0])
        return spoken(text, self.style.stops, is_whole=True).text

    def _prompt(self, conversation: Conversation) -> DialoguePrompt:
        return make_dialogue_prompt(self._model.vocabulary, self.style, conversation)

    def _shorten(self, conversation: Conversation, room: int, *, keeps_last: bool) -> Fitted:
        """Drops the oldest turns until the prompt has at most `room` tokens."""
        num_dropped = 0
        while len(conversation.turns) > keeps_last:
            asked = conversation if keeps_last else conversation.say([])
            if len(self._prompt(asked).text) <= room:
                break
            conversation = conversation.without_oldest()
            num_dropped += 1
        return Fitted(conversation, num_dropped)
