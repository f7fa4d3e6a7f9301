"""Greedy answers: those of the full forward pass, also where computed values are kept."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
import pytest

from flamingo_jax.dialogue.conversation import Conversation
from flamingo_jax.dialogue.greedy import GreedyDecoder
from flamingo_jax.dialogue.padding import pad_prompt
from flamingo_jax.dialogue.prompt import DialoguePrompt, make_dialogue_prompt, question_style
from tests.dialogue import tiny

LENGTH = 6


@pytest.fixture(scope="module")
def forward() -> jax.stages.Wrapped:
    return jax.jit(tiny.model().functions.forward)


def _decoder(*, ends_at_once: bool = False) -> GreedyDecoder:
    model = tiny.model(ends_at_once=ends_at_once)
    shape = tiny.viewer().latents_shape
    return GreedyDecoder(model.functions, model.decoding_params, shape, LENGTH)


def _prompt(conversation: Conversation) -> DialoguePrompt:
    return make_dialogue_prompt(tiny.VOCABULARY, question_style(), conversation)


def _expected(forward: jax.stages.Wrapped, prompt: DialoguePrompt) -> list[int]:
    """The answer, every token from a forward pass over everything before it."""
    text, media_index = list(prompt.text), list(prompt.media_index)
    answer: list[int] = []
    while len(answer) < LENGTH:
        whole = DialoguePrompt()
        whole.text, whole.media_index, whole.pictures = text, media_index, prompt.pictures
        padded = pad_prompt(whole, tiny.viewer().latents_shape)
        params = tiny.model().params
        logits = forward(params, padded.text, padded.media_index, padded.latents)
        token = int(np.argmax(logits[0, len(text) - 1]))
        if token == tiny.VOCABULARY.end_of_chunk_id:
            break
        answer.append(token)
        text.append(token)
        media_index.append(media_index[-1])
    return answer


def _talk(decoder: GreedyDecoder, messages: Sequence[Sequence[object]]) -> Conversation:
    conversation = Conversation()
    for message in messages:
        conversation = conversation.say(message)
        answer = tiny.VOCABULARY.decode(list(decoder(_prompt(conversation))))
        conversation = conversation.hear(answer)
    return conversation


def test_answers_are_those_of_the_forward_pass(forward: jax.stages.Wrapped) -> None:
    decoder = _decoder()
    for said in ([tiny.picture(1), "which ink?"], ["no picture"], [tiny.picture(2)]):
        prompt = _prompt(Conversation().say(said))
        assert list(decoder(prompt)) == _expected(forward, prompt)
    assert decoder.num_prefills == 3


def test_an_answer_ends_with_its_chunk() -> None:
    prompt = _prompt(Conversation().say([tiny.picture(1), "which ink?"]))
    assert len(list(_decoder()(prompt))) == LENGTH
    assert list(_decoder(ends_at_once=True)(prompt)) == []


def test_a_turn_without_a_new_picture_costs_its_own_tokens(forward: jax.stages.Wrapped) -> None:
    decoder = _decoder()
    shown = tiny.picture(1)
    conversation = _talk(decoder, [[shown, "which ink?"], ["how many are there?"]])
    assert decoder.num_prefills == 1
    prompt = _prompt(conversation.say(["where is it, and what do you see besides?"]))
    assert list(decoder(prompt)) == _expected(forward, prompt)
    assert decoder.num_prefills == 1
    # The same again, from the middle: what had been put in behind it is not seen.
    prompt = _prompt(Conversation(turns=conversation.turns[:1]).say(["something else?"]))
    assert list(decoder(prompt)) == _expected(forward, prompt)
    assert decoder.num_prefills == 1


def test_a_new_picture_is_seen(forward: jax.stages.Wrapped) -> None:
    decoder = _decoder()
    conversation = _talk(decoder, [[tiny.picture(1), "which ink?"]])
    for seed in (1, 2):  # Another object, if not another picture.
        prompt = _prompt(conversation.say([tiny.picture(seed), "which ink?"]))
        assert list(decoder(prompt)) == _expected(forward, prompt)
    other = Conversation().say([tiny.picture(3), "which ink?"])
    assert list(decoder(_prompt(other))) == _expected(forward, _prompt(other))
    assert decoder.num_prefills == 4


def test_a_conversation_that_outgrows_its_slots_starts_over(forward: jax.stages.Wrapped) -> None:
    decoder = _decoder()
    long = "what do you see, and where, and how many of them, and on which ground? " * 4
    conversation = _talk(decoder, [[tiny.picture(1), "a"], [long]])
    assert decoder.num_prefills == 1
    prompt = _prompt(conversation.say([long]))
    assert list(decoder(prompt)) == _expected(forward, prompt)
    assert decoder.num_prefills == 2


def test_who_stops_early_keeps_what_was_computed(forward: jax.stages.Wrapped) -> None:
    decoder = _decoder()
    conversation = Conversation().say([tiny.picture(1), "which ink?"])
    tokens = decoder(_prompt(conversation))
    first = next(tokens)
    tokens.close()
    prompt = _prompt(conversation.hear(tiny.VOCABULARY.decode([first])).say(["and?"]))
    assert list(decoder(prompt)) == _expected(forward, prompt)
    assert decoder.num_prefills == 1
