"""Answers in conversations: what fits, what is dropped, what is shown when."""

from __future__ import annotations

import re
import zlib

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.media import EncodedImage, EncodedVideo
from flamingo_jax.dialogue.conversation import Conversation
from flamingo_jax.dialogue.prompt import make_dialogue_prompt, question_style
from flamingo_jax.dialogue.responder import BEAM, GREEDY, Limits, Responder
from flamingo_jax.dialogue.viewer import Viewer
from tests.data.video_files import write_video
from tests.dialogue import tiny

QUESTIONS = question_style()


def _num_tokens(conversation: Conversation) -> int:
    return len(make_dialogue_prompt(tiny.VOCABULARY, QUESTIONS, conversation).text)


def test_a_greedy_answer_grows() -> None:
    responder = tiny.responder(QUESTIONS, max_answer_length=24)
    conversation = Conversation().say([tiny.picture(), "which ink?"])
    shown = list(responder.answer(conversation))
    assert len(shown) > 2
    for before, after in zip(shown, shown[1:], strict=False):
        assert after.startswith(before) and after != before
    prompt = make_dialogue_prompt(tiny.VOCABULARY, QUESTIONS, conversation)
    assert shown[-1] == tiny.VOCABULARY.decode(list(responder.greedy(prompt))).strip()


def test_a_beam_of_one_is_greedy() -> None:
    limits = Limits(max_length=512, max_answer_length=4, beam_width=1)
    responder = Responder(tiny.model(), tiny.viewer(), QUESTIONS, limits)
    differing = 0
    for seed in range(3):
        conversation = Conversation().say([tiny.picture(seed), "which ink?"])
        beam = list(responder.answer(conversation, BEAM))
        greedy = list(responder.answer(conversation, GREEDY))[-1]
        assert len(beam) == 1
        # The last token of a beam is always <EOC>; a greedy answer is cut off instead.
        assert greedy.startswith(beam[0]) and beam[0]
        wide = list(tiny.responder(QUESTIONS, max_answer_length=4).answer(conversation, BEAM))
        differing += wide != beam
    assert differing


def test_the_oldest_turns_make_room() -> None:
    two = Conversation().say([tiny.picture(), "which ink?"]).hear("red").say(["and how many?"])
    three = two.hear("one").say(["where is it?"])
    room = _num_tokens(Conversation(turns=three.turns[1:]))
    responder = tiny.responder(QUESTIONS, max_length=room + 6, max_answer_length=6)
    fitted = responder.fit(three)
    assert fitted.num_dropped == 1 and fitted.conversation.turns == three.turns[1:]
    assert responder.fit(fitted.conversation).num_dropped == 0
    assert tiny.responder(QUESTIONS, max_length=room + 5).fit(three).num_dropped == 2


def test_a_message_that_never_fits_is_refused() -> None:
    responder = tiny.responder(QUESTIONS, max_length=30)
    with pytest.raises(UserError, match=r"takes \d+ tokens, .* room for 24 beside the answer"):
        responder.fit(Conversation().say(["word " * 40]))


def test_a_conversation_begins_with_the_examples_that_fit() -> None:
    everything = tiny.responder(max_length=2048).begin()
    assert everything.num_dropped == 0 and len(everything.conversation.turns) == 4
    some = tiny.responder(max_length=500).begin()
    assert 0 < some.num_dropped < 4
    assert some.conversation.turns == everything.conversation.turns[some.num_dropped :]
    with pytest.raises(UserError, match="the dialogue prompt takes .* choose another --prompt"):
        tiny.responder(max_length=80).begin()


def test_an_answer_ends_where_the_model_speaks_for_the_person(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    responder = tiny.responder()
    said = tiny.VOCABULARY.encode(" a cat\nUser: and this?")
    put_in = []

    def greedy(prompt: object) -> object:
        for token in said:
            put_in.append(token)
            yield token

    monkeypatch.setattr(responder, "greedy", greedy)
    shown = list(responder.answer(responder.begin().conversation.say(["hello"])))
    assert shown[-1] == "a cat"
    assert len(put_in) < len(said)
    assert not any("User" in text for text in shown)


def test_what_cannot_be_decoded_is_said_in_one_line() -> None:
    viewer = tiny.viewer()
    for medium, said in (
        (EncodedImage(data=tiny.png()[:-20], name="cut.png"), "truncated_image"),
        (EncodedVideo(data=b"\0\0\0\x18ftypisom", name="cut.mp4"), "unreadable_video"),
        (EncodedImage(data=_bomb(), name="bomb.png"), "image_too_large"),
    ):
        with pytest.raises(UserError, match=f"cannot use {re.escape(medium.name)}: {said}"):
            viewer.look(medium)


def test_clips_are_seen_by_models_that_know_them() -> None:
    clip = EncodedVideo(data=write_video(num_frames=20), name="clip.mp4")
    seen = tiny.viewer().look(clip)
    still = tiny.viewer().look(EncodedImage(data=tiny.png(), name="x.png"))
    assert seen.latents.shape == still.latents.shape == tiny.viewer().latents_shape
    assert (seen.latents != still.latents).any()
    with pytest.raises(UserError, match=r"clip\.mp4: .* pictures alone"):
        Viewer(tiny.model(), 1, 1.0).look(clip)


def _bomb() -> bytes:
    """The header of a picture of four billion pixels, in a few bytes."""
    data = bytearray(tiny.png())
    data[16:24] = (65535).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)
