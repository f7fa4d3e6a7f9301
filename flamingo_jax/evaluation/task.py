"""What an evaluation task is: queries, what is said about support pictures, decoding, metrics.

A task has its examples by number: query `index` and support picture `row` are functions of the
task, its seed, its split and the number alone, so that a query and its shots are the same in
whatever order, batch or process they are asked for.
"""

from __future__ import annotations

import abc
import dataclasses

import numpy as np

from flamingo_jax.data import seeds

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
      lead: the text between the picture's tag and the answer, without the space before the answer;
        empty where the answer follows the tag at once.
      answer: the right answer, as a shot would give it.
      other_answers: what is right as well, as far as people were asked.
    """

    lead: str
    answer: str
    other_answers: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What is said about the picture, answer included, as training texts say it."""
        return said(self.lead, self.answer)

    @property
    def references(self) -> tuple[str, ...]:
        """All right answers, for the metrics."""
        return (self.answer, *self.other_answers)


def said(lead: str, answer: str) -> str:
    """An answer behind its lead: "Output: red", or "red" without one."""
    return f"{lead} {answer}" if lead else answer


class Task(abc.ABC):
    """One few-shot task on one split.

    Attributes:
      name: as in results.
      decode: `GENERATE` (open-ended, beam search) or `RANK` (closed, log-likelihood of each of
        `candidates`).
      metrics: names of what is reported.
      candidates: the possible answers of a closed task.
      num_queries: how many there are; None if they never end.
    """

    name: str
    decode: str = GENERATE
    metrics: tuple[str, ...] = ("exact_match",)
    candidates: tuple[str, ...] = ()
    num_queries: int | None = None

    def __init__(self, seed: int, split: str, num_support: int) -> None:
        """Draws nothing yet.

        Args:
          seed: of all that is drawn.
          split: of the pictures.
          num_support: pictures that shots are chosen from.
        """
        self.seed = seed
        self.split = split
        self.num_support = num_support

    @abc.abstractmethod
    def query(self, index: int) -> Query:
        """Query number `index`."""

    @abc.abstractmethod
    def query_media(self, index: int) -> np.ndarray:
        """The picture or clip of query `index`: uint8 [F, H, W, 3], made or read anew."""

    @abc.abstractmethod
    def support_media(self, row: int) -> np.ndarray:
        """Support picture or clip `row`: uint8 [F, H, W, 3], made or read anew."""

    @abc.abstractmethod
    def shot_text(self, index: int, row: int) -> str:
        """What the prompt of query `index` says about support picture `row`, answer included."""

    def groups(self, index: int) -> tuple[np.ndarray, ...]:
        """Rows of the support that may be shots of query `index`, in groups dealt out evenly.

        The query's own picture is in none of them.
        """
        del index
        return (np.arange(self.num_support),)

    def text_examples(self, index: int) -> tuple[str, ...]:
        """The text-only examples of the 0-shot prompt of query `index`, answers included."""
        if self.decode == RANK:
            return ()
        random = self.generator("text_examples", index)
        rows = random.permutation(self.num_support)[:NUM_TEXT_EXAMPLES]
        return tuple(self.shot_text(index, int(row)) for row in rows)

    def generator(self, role: str, index: int) -> np.random.Generator:
        """The random generator of one thing: its `role` in this task, and its number."""
        stream = f"evaluation/{self.name}/{role}"
        return seeds.generator(self.seed, stream, self.split, index)
