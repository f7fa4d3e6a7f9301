"""The words of the embedded world: what is said about a scene, a clip, and by which names.

Everything here is a pure function of a scene and a random generator; it never looks at pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flamingo_jax.data import scenes

DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PLURAL_WORDS = tuple(word + ("es" if word == "six" else "s") for word in DIGIT_WORDS)
COUNT_WORDS = ("single", "pair", "trio")

# The attributes of a scene that a page can be about, and the words that each can take.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "digit": DIGIT_WORDS,
    "ink": tuple(scenes.INKS),
    "ground": tuple(scenes.GROUNDS),
    "count": COUNT_WORDS,
}

QUESTIONS: dict[str, tuple[str, ...]] = {
    "digit": ("which digit is it?", "what digit do you see?"),
    "ink": ("what colour is the ink?", "which ink is it?"),
    "ground": ("what colour is the ground?", "which ground is it?"),
    "count": ("how many digits are there?", "how many do you see?"),
    "place": ("where is it?", "where are the digits?"),
}
VIDEO_QUESTIONS = ("what happens?", "what does it do?")

# Made-up names: consonant, vowel, consonant, short enough to be one piece of the vocabulary each.
NAMES = tuple(
    first + vowel + last
    for first in "bdfgklmnprtvwz"
    for vowel in "aeiou"
    for last in "xkp"
    if first + vowel + last not in scenes.PLACES
)


def attribute_word(attribute: str, scene: scenes.Scene) -> str:
    """The word for an attribute (a key of `ATTRIBUTES`, or "place") of a scene."""
    words = {
        "digit": DIGIT_WORDS[scene.digit],
        "ink": scene.ink,
        "ground": scene.ground,
        "count": COUNT_WORDS[scene.count - 1],
        "place": scene.place,
    }
    return words[attribute]


def answer(attribute: str, scene: scenes.Scene) -> str:
    """The answer to a question of `QUESTIONS[attribute]`."""
    if attribute == "count":
        return DIGIT_WORDS[scene.count]
    return attribute_word(attribute, scene)


def noun(scene: scenes.Scene) -> str:
    """The digit's word in the number that is shown: "seven", "sevens"."""
    if scene.count == 1:
        return DIGIT_WORDS[scene.digit]
    return PLURAL_WORDS[scene.digit]


def caption(scene: scenes.Scene) -> str:
    """The plain caption: "a red seven on black", "two red sevens on black"."""
    one = "an" if scene.ink[0] == "o" else "a"
    article = DIGIT_WORDS[scene.count] if scene.count > 1 else one
    return f"{article} {scene.ink} {noun(scene)} on {scene.ground}"


def long_caption(scene: scenes.Scene, random: np.random.Generator) -> str:
    """A clean, longer description, as of a curated set of pairs (LTIP)."""
    place = {"top": "at the top", "middle": "in the middle", "bottom": "at the bottom"}[scene.place]
    styles = (
        f"{caption(scene)}, {place}",
        f"a picture of {caption(scene)}",
        f"{caption(scene)}",
        f"{place}, {caption(scene)}",
    )
    return styles[random.integers(len(styles))]


# Alt text mostly just names the thing, which gives a contrastive batch texts that only the digit
# tells apart; those that give colours and number too mostly differ in these.
_NOISY_WEIGHTS = (0.4, 0.25, 0.15, 0.1, 0.1)


def noisy_caption(scene: scenes.Scene, random: np.random.Generator) -> str:
    """Short alt text as found on web pages (ALIGN): in one of ten cases about another scene."""
    if random.random() < 0.1:
        scene = scenes.sample_scene(random, "train")
    styles = (
        f"{noun(scene)}",
        f"photo of {noun(scene)}",
        f"{scene.ink} {noun(scene)}",
        f"{noun(scene)} on {scene.ground}",
        f"{caption(scene)}",
    )
    return styles[random.choice(len(styles), p=_NOISY_WEIGHTS)]


def alternative_text(scene: scenes.Scene, random: np.random.Generator) -> str:
    """What a page without pictures puts in a picture's place.

    "<seven>", "<two red sevens on black>", or some of the attributes' words, the digit's always
    among them, in any order: "<black seven>".
    """
    style = random.random()
    if style < 0.4:
        return f"<{DIGIT_WORDS[scene.digit]}>"
    if style < 0.7:
        return f"<{caption(scene)}>"
    words = [attribute_word(attribute, scene) for attribute in ("digit", "ink", "ground", "count")]
    kept = random.permutation(len(words))[: random.integers(2, 5)]
    if 0 not in kept:
        kept[0] = 0
    return "<" + " ".join(words[index] for index in kept) + ">"


def draw_names(random: np.random.Generator, count: int) -> list[str]:
    """`count` different made-up names."""
    return [NAMES[index] for index in random.permutation(len(NAMES))[:count]]


def movement(frames: Sequence[scenes.Scene]) -> str:
    """What a clip shows, read off its first and last frame: "it moves down", "it turns red"."""
    first, last = frames[0], frames[-1]
    if first.ink != last.ink:
        return f"it turns {last.ink}"
    if first.digit != last.digit:
        return "it counts up" if last.digit > first.digit else "it counts down"
    rows = [scenes.PLACES.index(frame.place) for frame in (first, last)]
    return "it moves down" if rows[1] > rows[0] else "it moves up"


def clip_caption(frames: Sequence[scenes.Scene]) -> str:
    """"a red seven moves down", "a red seven turns blue", "a red two counts up"."""
    first = frames[0]
    article = "an" if first.ink[0] == "o" else "a"
    what_happens = movement(frames).removeprefix("it ")
    return f"{article} {first.ink} {DIGIT_WORDS[first.digit]} {what_happens}"
