"""What is said about scenes and clips, read back by an independent reader of the words."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from flamingo_jax.data import grammar, scenes, seeds, world

NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SCENE = scenes.Scene(
    digit=6, scans=(0, 1), ink="orange", ground="grey", place="bottom", columns=(0, 2)
)


def _random(number: int) -> np.random.Generator:
    return seeds.generator(0, "grammar", "train", number)


def _read(caption: str) -> dict[str, object]:
    """Count, ink, digit and ground of a plain caption."""
    match = re.fullmatch(r"(\w+) (\w+) (\w+) on (\w+)", caption)
    assert match, caption
    article, ink, noun, ground = match.groups()
    count = 1 if article in ("a", "an") else NUMBERS.index(article)
    singular = noun
    if count > 1:
        singular = "six" if noun == "sixes" else noun.removesuffix("s")
    assert (article == "an") == (count == 1 and ink[0] in "aeiou"), caption
    return {"count": count, "ink": ink, "digit": NUMBERS.index(singular), "ground": ground}


def _shown(scene: scenes.Scene) -> dict[str, object]:
    return {
        "count": scene.count,
        "ink": scene.ink,
        "digit": scene.digit,
        "ground": scene.ground,
    }


def test_captions_written_out() -> None:
    assert grammar.caption(SCENE) == "two orange sixes on grey"
    single = dataclasses.replace(SCENE, scans=(4,))
    assert grammar.caption(single) == "an orange six on grey"
    assert [grammar.answer(name, SCENE) for name in grammar.QUESTIONS] == [
        "six",
        "orange",
        "grey",
        "two",
        "bottom",
    ]
    assert [grammar.attribute_word(name, SCENE) for name in grammar.ATTRIBUTES] == [
        "six",
        "orange",
        "grey",
        "pair",
    ]


def test_captions_agree_with_their_scenes() -> None:
    for number in range(300):
        scene = scenes.sample_scene(_random(number), "train")
        assert _read(grammar.caption(scene)) == _shown(scene)
        longer = grammar.long_caption(scene, _random(number + 1000))
        assert grammar.caption(scene) in longer
        for place in scenes.PLACES:
            assert (place in longer) <= (place == scene.place)


def test_one_noisy_caption_in_ten_is_about_something_else() -> None:
    num_wrong = 0
    for number in range(1000):
        scene = scenes.sample_scene(_random(number), "train")
        said = grammar.noisy_caption(scene, _random(number + 10_000)).split()
        num_wrong += grammar.noun(scene) not in said
    # 0.1 times the share of other scenes with another noun: about 0.1 * 0.96.
    assert 60 < num_wrong < 135


def test_pages_say_what_their_pictures_show() -> None:
    asked = {text: name for name, texts in grammar.QUESTIONS.items() for text in texts}
    for number in range(100):
        page = world.question_page(_random(number), "train", 4)
        for (scene,), chunk in zip(page.media, page.chunks[1:], strict=True):
            question, answer = re.fullmatch(r"Question: (.*\?) Answer: (\w+)", chunk).groups()
            assert answer == grammar.answer(asked[question], scene)
        page = world.caption_page(_random(number), "train", 4)
        for (scene,), chunk in zip(page.media, page.chunks[1:], strict=True):
            assert chunk.endswith(grammar.caption(scene))
        page = world.attribute_page(_random(number), "train", 4)
        fitting = [
            name
            for name in grammar.ATTRIBUTES
            if all(
                chunk.endswith(grammar.attribute_word(name, frames[0]))
                for frames, chunk in zip(page.media, page.chunks[1:], strict=True)
            )
        ]
        assert fitting, page


def test_a_naming_page_gives_each_digit_one_name_of_its_own() -> None:
    bound = set()
    for number in range(100):
        page = world.naming_page(_random(number), "train", 8, num_names=4)
        pairs = {
            (frames[0].digit, chunk.split()[-1])
            for frames, chunk in zip(page.media, page.chunks[1:], strict=True)
        }
        assert len(pairs) == 4
        assert len({digit for digit, _ in pairs}) == len({name for _, name in pairs}) == 4
        assert {name for _, name in pairs} <= set(grammar.NAMES)
        bound |= pairs
    assert len(bound) > 300  # The next page binds anew.


def test_names_are_no_words_of_the_world() -> None:
    said = {*grammar.DIGIT_WORDS, *grammar.PLURAL_WORDS, *grammar.COUNT_WORDS}
    said |= {*scenes.INKS, *scenes.GROUNDS, *scenes.PLACES}
    questions = [text for texts in grammar.QUESTIONS.values() for text in texts]
    for text in (*questions, *grammar.VIDEO_QUESTIONS, *world.LEADS, "a an at the in on it"):
        said |= set(re.findall(r"\w+", text))
    assert len(set(grammar.NAMES)) == len(grammar.NAMES) == 209
    assert said.isdisjoint(grammar.NAMES)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([{"place": "top"}, {"place": "bottom"}], "moves down"),
        ([{"place": "bottom"}, {"place": "middle"}], "moves up"),
        ([{"ink": "red"}, {"ink": "blue"}], "turns blue"),
        ([{"digit": 3}, {"digit": 5}], "counts up"),
        ([{"digit": 3}, {"digit": 1}], "counts down"),
    ],
)
def test_movements_written_out(changes: list[dict[str, object]], said: str) -> None:
    still = dataclasses.replace(SCENE, scans=(0,))
    frames = [dataclasses.replace(still, **change) for change in changes]
    assert grammar.movement(frames) == f"it {said}"
    assert grammar.clip_caption(frames).endswith(f" {NUMBERS[frames[0].digit]} {said}")


def test_clips_change_in_one_way_only() -> None:
    seen = set()
    for number in range(100):
        frames = world.clip_frames(_random(number), "train", 8)
        assert len(frames) == 8
        changed = [
            name
            for name in ("digit", "ink", "ground", "place", "columns", "count")
            if len({getattr(frame, name) for frame in frames}) > 1
        ]
        assert len(changed) == 1, changed
        seen |= set(changed)
    assert seen == {"digit", "ink", "place"}
