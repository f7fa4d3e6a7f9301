"""The embedded world: pages, pairs and clips of handwritten digits, drawn by number.

Example number n of a stream is a pure function of (seed, stream, split, n), see `seeds`: it can be
drawn at any position, in any order, on any host. It is a `Document` of scenes, which
`sources/world.py` paints.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from flamingo_jax.data import digits, grammar, scenes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Document:
    """Text with pictures or clips in reading order.

    Attributes:
        chunks: I+1 strings; chunk 0 stands before the first picture, chunk i after picture i.
        media: I sequences of frames (one frame: a picture).
    """

    chunks: tuple[str, ...]
    media: tuple[tuple[scenes.Scene, ...], ...]

    def render(self, split: str, random: np.random.Generator) -> np.ndarray:
        """Paints the media: uint8 [I, F, H, W, 3]."""
        return np.stack(
            [
                np.stack([scenes.render(frame, split, random) for frame in frames])
                for frames in self.media
            ]
        )


# How a page leads up to what it says about a picture; one lead for a whole page.
LEADS = ("Output: {}", " {}", " this is {}", "Answer: {}")
_LEAD_WEIGHTS = (0.6, 0.15, 0.15, 0.1)


def attribute_page(random: np.random.Generator, split: str, num_images: int) -> Document:
    """One attribute of every picture: "<image>Output: red<image>Output: blue"."""
    attribute = list(grammar.ATTRIBUTES)[random.integers(len(grammar.ATTRIBUTES))]
    shown = [scenes.sample_scene(random, split) for _ in range(num_images)]
    said = [grammar.attribute_word(attribute, scene) for scene in shown]
    return _page(random, shown, said)


def caption_page(random: np.random.Generator, split: str, num_images: int) -> Document:
    """The plain caption of every picture."""
    shown = [scenes.sample_scene(random, split) for _ in range(num_images)]
    return _page(random, shown, [grammar.caption(scene) for scene in shown])


def question_page(random: np.random.Generator, split: str, num_images: int) -> Document:
    """A question about every picture, and its answer."""
    shown = [scenes.sample_scene(random, split) for _ in range(num_images)]
    said = []
    for scene in shown:
        attribute = list(grammar.QUESTIONS)[random.integers(len(grammar.QUESTIONS))]
        question = grammar.QUESTIONS[attribute][random.integers(2)]
        said.append(f"Question: {question} Answer: {grammar.answer(attribute, scene)}")
    return _page(random, shown, said, lead="{}")


def naming_page(
    random: np.random.Generator, split: str, num_images: int, num_names: int | None = None
) -> Document:
    """Made-up names for two to four digits, bound on this page alone.

    The digits are dealt out evenly, so that on a page of 8 pictures and 4 names each name occurs
    twice.
    """
    num_names = int(random.integers(2, 5)) if num_names is None else num_names
    classes = random.permutation(digits.NUM_CLASSES)[:num_names]
    names = grammar.draw_names(random, num_names)
    dealt = random.permutation(np.arange(num_images) % num_names)
    shown = [scenes.sample_scene(random, split, digit=int(classes[slot])) for slot in dealt]
    return _page(random, shown, [names[slot] for slot in dealt])


PAGE_KINDS = {
    "attribute": attribute_page,
    "caption": caption_page,
    "question": question_page,
    "naming": naming_page,
}
PICTURE_PAGE_WEIGHTS = (0.3, 0.25, 0.2, 0.25)
# Without pictures, pages that give names are what is hard to learn: half of all.
TEXT_PAGE_WEIGHTS = (0.2, 0.15, 0.15, 0.5)
_FEWEST_IMAGES = 4


def page(
    random: np.random.Generator,
    split: str,
    num_images: int,
    weights: tuple[float, ...] = PICTURE_PAGE_WEIGHTS,
) -> Document:
    """An interleaved page (as M3W), of a kind of `PAGE_KINDS` drawn by `weights`."""
    kind = list(PAGE_KINDS)[random.choice(len(PAGE_KINDS), p=weights)]
    return PAGE_KINDS[kind](random, split, num_images)


def page_of_any_length(random: np.random.Generator, split: str, max_images: int) -> Document:
    """An interleaved page with three quarters of `max_images` to `max_images` pictures.

    It has at least 4, so that a name can come back, unless `max_images` is smaller.
    """
    fewest = min(max(_FEWEST_IMAGES, max_images * 3 // 4), max_images)
    return page(random, split, int(random.integers(fewest, max_images + 1)))


def noisy_pair(random: np.random.Generator, split: str) -> Document:
    """A picture with short, sometimes wrong text (as ALIGN)."""
    scene = scenes.sample_scene(random, split)
    return Document(chunks=("", grammar.noisy_caption(scene, random)), media=((scene,),))


def clean_pair(random: np.random.Generator, split: str) -> Document:
    """A picture with a longer, true description (as LTIP)."""
    scene = scenes.sample_scene(random, split)
    return Document(chunks=("", grammar.long_caption(scene, random)), media=((scene,),))


def clip_frames(
    random: np.random.Generator, split: str, num_frames: int
) -> tuple[scenes.Scene, ...]:
    """The frames of a clip in which one digit counts, moves, or changes its ink."""
    kind = random.integers(3)
    scene = scenes.sample_scene(random, split, count=1)
    backwards = bool(random.integers(2))
    steps = np.arange(num_frames) * 4 // num_frames
    if kind == 0:
        start = int(random.integers(3, digits.NUM_CLASSES) if backwards else random.integers(7))
        frames = []
        for step in steps:
            digit = start + (-int(step) if backwards else int(step))
            scan = int(random.integers(len(digits.scans_by_class(split)[digit])))
            frames.append(dataclasses.replace(scene, digit=digit, scans=(scan,)))
        return tuple(frames)
    if kind == 1:
        order = scenes.PLACES[:: -1 if backwards else 1]
        return tuple(
            dataclasses.replace(scene, place=order[min(int(step), 2)]) for step in steps
        )
    others = [ink for ink in scenes.INKS if ink != scene.ink]
    ink = others[random.integers(len(others))]
    return tuple(
        dataclasses.replace(scene, ink=ink if step >= 2 else scene.ink) for step in steps
    )


def clip_pair(random: np.random.Generator, split: str, num_frames: int = 8) -> Document:
    """A clip with a caption, or with a question and its answer (as VTP)."""
    frames = clip_frames(random, split, num_frames)
    style = random.integers(3)
    if style == 0:
        text = f"Question: {grammar.VIDEO_QUESTIONS[random.integers(2)]} Answer: "
        text += grammar.movement(frames)
    else:
        text = ("Output: " if style == 1 else "") + grammar.clip_caption(frames)
    return Document(chunks=("", text), media=(frames,))


def _page(
    random: np.random.Generator,
    shown: list[scenes.Scene],
    said: list[str],
    lead: str | None = None,
) -> Document:
    """Puts what is said behind each picture, after a lead that the page keeps throughout."""
    if lead is None:
        lead = LEADS[random.choice(len(LEADS), p=_LEAD_WEIGHTS)]
    chunks = [lead.format(words) for words in said]
    media = tuple((scene,) for scene in shown)
    return Document(chunks=("", *chunks), media=media)
