"""Greedy answers token by token, which keep what they computed for the turns that follow.

`FlamingoFunctions.go_on` puts tokens behind a prompt that see the prompt's last picture. That holds
for an answer, and just as well for the next message if it shows no new picture: such a turn costs
its own tokens and no others.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from flamingo_jax.data import schema
from flamingo_jax.dialogue.conversation import Picture
from flamingo_jax.dialogue.padding import pad_prompt
from flamingo_jax.dialogue.prompt import DialoguePrompt
from flamingo_jax.models.build import FlamingoFunctions, Params
from flamingo_jax.models.cache import AnswerCache, AnswerPlace, PromptCache, start_answers

_CHUNKS = (1, 32, 128)
"""Numbers of tokens that are put in at once; each is compiled."""

_LINES_KEPT = 4


class _Line(NamedTuple):
    """What was computed for one course of a conversation.

    Attributes:
        text: all tokens: those of the prompt, then those in slots.
        num_prompt: how many are the prompt's.
        pictures: that the prompt shows.
        cache: of the prompt.
        answers: the slots.
    """

    text: tuple[int, ...]
    num_prompt: int
    pictures: tuple[Picture, ...]
    cache: PromptCache
    answers: AnswerCache


class GreedyDecoder:
    """Continues prompts with the most likely token each. May be called from several threads.

    Attributes:
        num_prefills: how many prompts were computed from their beginning.
    """

    def __init__(
        self,
        functions: FlamingoFunctions,
        params: Params,
        latents_shape: tuple[int, int],
        max_answer_length: int,
    ) -> None:
        """Compiles nothing yet.

        Args:
            functions: the model.
            params: all its parameters.
            latents_shape: (R, D), of a picture's visual tokens.
            max_answer_length: tokens of an answer at most, `<EOC>` included.
        """
        self.num_prefills = 0
        self._params = params
        self._latents_shape = latents_shape
        self._max_answer_length = max_answer_length
        self._num_slots = _CHUNKS[-1] + max_answer_length
        self._ends = (schema.PAD_ID, schema.EOS_ID, schema.BOS_ID, functions.end_of_chunk_id)
        self._lines: tuple[_Line, ...] = ()
        self._lock = threading.Lock()
        self._prefill = jax.jit(functions.prefill, static_argnums=5)

        def put_in(
            params: Params,
            token_1T: jax.Array,
            num_before: jax.Array,
            last: jax.Array,
            cache: PromptCache,
            answers: AnswerCache,
        ) -> tuple[jax.Array, AnswerCache]:
            """Tokens behind `num_before` others in slots; the token to follow number `last`."""
            depth_T = num_before + jnp.arange(token_1T.shape[1])
            # Slots are filled in order; what lies in later ones has a negative distance.
            distance_TA = depth_T[:, None] - jnp.arange(self._num_slots)
            place = AnswerPlace(depth_T[None], distance_TA[None], num_before)
            logits_1TV, answers = functions.go_on(params, token_1T, place, cache, answers)
            return jnp.argmax(logits_1TV[0, last]), answers

        self._put_in = jax.jit(put_in)

    def __call__(self, prompt: DialoguePrompt) -> Iterator[int]:
        """Yields the tokens of the answer, without the `<EOC>` that ends it.

        Who stops before the end loses nothing: what was computed so far is kept.
        """
        token, line = self._start(prompt)
        try:
            for step in range(self._max_answer_length):
                if token in self._ends:
                    return
                yield token
                if step + 1 < self._max_answer_length:
                    token, line = self._extend(line, len(line.text), [token])
        finally:
            self._keep(line)

    def _start(self, prompt: DialoguePrompt) -> tuple[int, _Line]:
        """The first token of the answer, from the kept line that has most of the prompt."""
        best, most = None, 0
        for line in self._lines:
            shared = self._shared(line, prompt)
            if shared > most:
                best, most = line, shared
        if best is not None:
            return self._extend(best, most, prompt.text[most:])
        self.num_prefills += 1
        padded = pad_prompt(prompt, self._latents_shape)
        max_length = padded.text.shape[1] + self._num_slots
        logits_1V, cache = self._prefill(self._params, *padded, max_length)
        answers = start_answers(cache, self._num_slots)
        text, pictures = tuple(prompt.text), tuple(prompt.pictures)
        return int(logits_1V[0].argmax()), _Line(text, len(text), pictures, cache, answers)

    def _shared(self, line: _Line, prompt: DialoguePrompt) -> int:
        """How many tokens of a prompt need not be computed again; 0: the line is of no use."""
        pictures = prompt.pictures
        if len(line.pictures) != len(pictures) or any(
            one is not other for one, other in zip(line.pictures, pictures, strict=True)
        ):
            return 0
        # At least one token is put in: what follows it is not kept.
        shared = min(_common_start(line.text, prompt.text), len(prompt.text) - 1)
        needed = len(prompt.text) + self._max_answer_length - line.num_prompt
        return shared if shared >= line.num_prompt and needed <= self._num_slots else 0

    def _extend(self, line: _Line, start: int, tokens: Sequence[int]) -> tuple[int, _Line]:
        """Puts tokens behind the first `start` of a line; the token to follow, and the line."""
        following, answers = -1, line.answers
        done = 0
        while done < len(tokens):
            slot = start + done - line.num_prompt
            size = self._chunk(len(tokens) - done, self._num_slots - slot)
            some = tokens[done : done + size]
            padded = jnp.asarray([[*some, *[schema.PAD_ID] * (size - len(some))]], jnp.int32)
            following, answers = self._put_in(
                self._params, padded, jnp.int32(slot), jnp.int32(len(some) - 1), line.cache, answers
            )
            done += len(some)
        text = (*line.text[:start], *tokens)
        return int(following), line._replace(text=text, answers=answers)

    @staticmethod
    def _chunk(num_tokens: int, num_free: int) -> int:
        """The smallest chunk for so many tokens, or the largest that there are slots for."""
        fitting = [size for size in _CHUNKS if size <= num_free]
        return next((size for size in fitting if size >= num_tokens), fitting[-1])

    def _keep(self, line: _Line) -> None:
        """Keeps a line instead of what it goes on from, and a few others."""
        with self._lock:
            others = [
                other
                for other in self._lines
                if other.cache is not line.cache and other.text != line.text
            ]
            self._lines = (line, *others)[:_LINES_KEPT]


def _common_start(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts begin with together."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
