"""Digit classification: which of the ten words, by log-likelihood."""

from __future__ import annotations

from flamingo_jax.data import grammar
from flamingo_jax.evaluation.task import OUTPUT, RANK
from flamingo_jax.evaluation.world_task import WorldQuery, WorldTask


class Classification(WorldTask):
    """ "<image>Output: seven": closed, so its 0-shot prompt has no text examples."""

    name = "classification"
    decode = RANK
    metrics = ("accuracy",)
    candidates = grammar.DIGIT_WORDS

    def query(self, index: int) -> WorldQuery:
        """See `Task.query`."""
        frames = self.draw_outside_support(self.generator("query", index))
        answer = grammar.attribute_word("digit", frames[0])
        return WorldQuery(frames=frames, lead=OUTPUT, answer=answer)

    def shot_text(self, index: int, row: int) -> str:
        """See `Task.shot_text`; the same for every query."""
        del index
        return f"{OUTPUT} {grammar.attribute_word('digit', self.support[row][0])}"
