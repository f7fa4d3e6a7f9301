"""Tasks of the embedded world: queries and support are scenes, drawn by number and painted."""

from __future__ import annotations

import abc
import dataclasses
import functools

import numpy as np

from flamingo_jax.data import scenes
from flamingo_jax.evaluation.task import Query, Task

Frames = tuple[scenes.Scene, ...]
"""A picture (one frame) or a clip."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WorldQuery(Query):
    """What is asked about a scene.

    Attributes:
      frames: the picture or clip.
    """

    frames: Frames


class WorldTask(Task):
    """One few-shot task on one split of the scans; its queries never end.

    Attributes:
      num_frames: frames of a picture; 1 for stills.
    """

    num_frames: int = 1

    @abc.abstractmethod
    def query(self, index: int) -> WorldQuery:
        """Query number `index`; its picture is none of the support."""

    def query_media(self, index: int) -> np.ndarray:
        """See `Task.query_media`."""
        return self._paint("query", index, self.query(index).frames)

    def support_media(self, row: int) -> np.ndarray:
        """See `Task.support_media`."""
        return self._paint("support", row, self.support[row])

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

    def _paint(self, role: str, number: int, frames: Frames) -> np.ndarray:
        """The pixels; their noise depends on the picture's role and number."""
        random = self.generator(f"{role}/pixels", number)
        return np.stack([scenes.render(frame, self.split, random) for frame in frames])
