"""Naming: made-up names that the shots give to four digits, bound nowhere but in the prompt."""

from __future__ import annotations

import functools

import numpy as np

from flamingo_jax.data import digits, grammar, scenes
from flamingo_jax.evaluation.task import NUM_TEXT_EXAMPLES, OUTPUT
from flamingo_jax.evaluation.world_task import Frames, WorldQuery, WorldTask

NUM_NAMES = 4


class Naming(WorldTask):
    """ "<image>Output: dax<EOC><image>Output: fup<EOC><image>Output:": open-ended.

    Every query is an episode with digits and names of its own. Random shots are balanced over the
    four names; RICES chooses among the pictures of the four digits.
    """

    name = "naming"

    @functools.cache  # noqa: B019 (lives as long as the evaluation)
    def episode(self, index: int) -> dict[int, str]:
        """The names of query `index` by digit, the query's own digit first."""
        random = self.generator("episode", index)
        classes = random.permutation(digits.NUM_CLASSES)[:NUM_NAMES]
        names = grammar.draw_names(random, NUM_NAMES)
        return {int(digit): name for digit, name in zip(classes, names, strict=True)}

    def query(self, index: int) -> WorldQuery:
        """See `Task.query`."""
        digit, name = next(iter(self.episode(index).items()))
        frames = self.draw_outside_support(self.generator("query", index), digit=digit)
        return WorldQuery(frames=frames, lead=OUTPUT, answer=name)

    def shot_text(self, index: int, row: int) -> str:
        """See `Task.shot_text`.

        Raises:
          KeyError: the picture's digit has no name in this episode.
        """
        return f"{OUTPUT} {self.episode(index)[self.support[row][0].digit]}"

    def groups(self, index: int) -> tuple[np.ndarray, ...]:
        """One group for each of the four digits."""
        digit_S = np.array([frames[0].digit for frames in self.support])
        return tuple(np.flatnonzero(digit_S == digit) for digit in self.episode(index))

    def text_examples(self, index: int) -> tuple[str, ...]:
        """Two names of other episodes."""
        random = self.generator("text_examples", index)
        own = set(self.episode(index).values())
        names = grammar.draw_names(random, NUM_NAMES + NUM_TEXT_EXAMPLES)
        foreign = [name for name in names if name not in own]
        return tuple(f"{OUTPUT} {name}" for name in foreign[:NUM_TEXT_EXAMPLES])

    def draw_support(self, random: np.random.Generator, row: int) -> Frames:
        """Draws support picture `row`; the ten digits in turn, so that all are there."""
        return (scenes.sample_scene(random, self.split, digit=row % digits.NUM_CLASSES),)
