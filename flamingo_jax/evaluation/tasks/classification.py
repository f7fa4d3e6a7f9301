"""Digit classification: which of the ten words, by log-likelihood."""

from __future__ import annotations

from flamingo_jax.data import grammar
from flamingo_jax.evaluation.task import OUTPUT, RANK, Query, Task


class Classification(Task):
    """ "<image>Output: seven": closed, so its 0-shot prompt has no text examples."""

    name = "classification"
    decode = RANK
    metrics = ("accuracy",)
    candidates = grammar.DIGIT_WORDS

    def query(self, index: int) -> Query:
        """See `Task.query`."""
        frames = self.draw_outside_support(self.generator("query", index))
        return Query(frames=frames, lead=OUTPUT, answer=grammar.attribute_word("digit", frames[0]))

    def shot_text(self, index: int, row: int) -> str:
        """See `Task.shot_text`; the same for every query."""
        del index
        return f"{OUTPUT} {grammar.attribute_word('digit', self.support[row][0])}"
