"""Captioning: say what a picture shows, in the plain caption's words."""

from __future__ import annotations

from flamingo_jax.data import grammar
from flamingo_jax.evaluation.task import OUTPUT
from flamingo_jax.evaluation.world_task import WorldQuery, WorldTask


class Captioning(WorldTask):
    """ "<image>Output: a red seven on black": open-ended, CIDEr and exact match."""

    name = "captioning"
    metrics = ("exact_match", "cider")

    def query(self, index: int) -> WorldQuery:
        """See `Task.query`."""
        frames = self.draw_outside_support(self.generator("query", index))
        return WorldQuery(frames=frames, lead=OUTPUT, answer=grammar.caption(frames[0]))

    def shot_text(self, index: int, row: int) -> str:
        """See `Task.shot_text`; the same for every query."""
        del index
        return f"{OUTPUT} {grammar.caption(self.support[row][0])}"
