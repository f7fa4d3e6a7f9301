"""What an evaluation task is: queries, what is said about support pictures, decoding, metrics.

A task of the embedded world draws its examples by number: query `index` and support picture `row`
are pure functions of (seed, task, split, number), so that a query and its shots are the same in
whatever order, batch or process they are asked for.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from flamingo_jax.data import scenes, seeds

Frames = tuple[scenes.Scene, ...]
"""A picture (one frame) or a clip."""

OUTPUT = "Output:"
"""Leads up to the answer of all tasks but question answering (paper, appendix B.1.5)."""

GENERATE = "generate"
RANK = "rank"

NUM_TEXT_EXAMPLES = 2
"""Text-only examples of an open-ended 0-shot prompt (paper, section 4.2)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Query:
    """What is asked.

    Attributes:
      frames: the picture or clip.
      lead: the text between its tag and the answer, without the space before the answer.
      answer: the right answer.
    """

    frames: Frames
    lead: str
    answer: str

    @property
    def text(self) -> str:
        """What is said about the picture, answer included, as training texts say it."""
        return f"{self.lead} {self.answer}"


class Task(abc.ABC):
    """One few-shot task on one split.

    Attributes:
      name: as in results.
      decode: `GENERATE` (open-ended, beam search) or `RANK` (closed, log-likelihood of each of
        `candidates`).
      metrics: names of what is reported.
      num_frames: frames of a picture; 1 for stills.
      candidates: the possible answers of a closed task.
    """

    name: str
    decode: str = GENERATE
    metrics: tuple[str, ...] = ("exact_match",)
    num_frames: int = 1
    candidates: tuple[str, ...] = ()

    def __init__(self, seed: int, split: str, num_support: int) -> None:
        """Draws nothing yet.

        Args:
          seed: of all examples.
          split: of the scans that the pictures show.
          num_support: pictures that shots are chosen from.
        """
        self.seed = seed
        self.split = split
        self.num_support = num_support

    @abc.abstractmethod
    def query(self, index: int) -> Query:
        """Query number `index`; its picture is none of the support."""

    @abc.abstractmethod
    def shot_text(self, index: int, row: int) -> str:
        """What the prompt of query `index` says about support picture `row`, answer included."""

    def groups(self, index: int) -> tuple[np.ndarray, ...]:
        """Rows of the support that may be shots of query `index`, in groups dealt out evenly."""
        del index
        return (np.arange(self.num_support),)

    def text_examples(self, index: int) -> tuple[str, ...]:
        """The text-only examples of the 0-shot prompt of query `index`, answers included."""
        if self.decode == RANK:
            return ()
        random = self.generator("text_examples", index)
        rows = random.permutation(self.num_support)[:NUM_TEXT_EXAMPLES]
        return tuple(self.shot_text(index, int(row)) for row in rows)

    @functools.cached_property
    def support(self) -> tuple[Frames, ...]:
        """The pictures that shots are chosen from."""
        return tuple(
            self.draw_support(self.generator("support", row), row)
            for row in range(self.num_support)
        )

    def draw_support(self, random: np.random.Generator, row: int) -> Frames:
        """Draws support picture `row`."""
        del row
        return self.draw_frames(random)

    def draw_frames(self, random: np.random.Generator) -> Frames:
        """Draws a picture or clip."""
        return (scenes.sample_scene(random, self.split),)

    def draw_outside_support(self, random: np.random.Generator, digit: int | None = None) -> Frames:
        """Draws the picture of a query: not one of the support, of class `digit` if given."""
        while True:
            frames = (
                self.draw_frames(random)
                if digit is None
                else (scenes.sample_scene(random, self.split, digit=digit),)
            )
            if frames not in self._support_set:
                return frames

    @functools.cached_property
    def _support_set(self) -> frozenset[Frames]:
        return frozenset(self.support)

    def generator(self, role: str, index: int) -> np.random.Generator:
        """The random generator of one thing: its `role` in this task, and its number."""
        stream = f"evaluation/{self.name}/{role}"
        return seeds.generator(self.seed, stream, self.split, index)

    def render(self, role: str, media: Sequence[Frames]) -> np.ndarray:
        """Paints pictures; the pixel noise of each depends on its role and number.

        Args:
          role: "support" or "query".
          media: the pictures numbered from 0.

        Returns:
          uint8 [I, F, H, W, 3].
        """
        return np.stack(
            [
                np.stack([scenes.render(frame, self.split, random) for frame in frames])
                for frames, random in (
                    (frames, self.generator(f"{role}/pixels", number))
                    for number, frames in enumerate(media)
                )
            ]
        )
