"""Which examples become the shots of a query: at random, evenly over classes, or by RICES.

What is drawn depends on the seed, the benchmark and the query's id alone: not on the order of the
queries, nor on batches, hosts, or what was asked before. An example that shows the query's own
picture or clip, or another part of its video, is never a shot.
"""

from __future__ import annotations

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import seeds
from flamingo_jax.evaluation import rices
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.clip_benchmark import VIDEO
from flamingo_jax.evaluation.fewshot import RANDOM, RICES
from flamingo_jax.evaluation.task import NUM_TEXT_EXAMPLES


class Support:
    """The examples of a benchmark that shots are chosen from."""

    def __init__(self, benchmark: Benchmark, num_support: int, is_balanced: bool) -> None:
        """Chooses nothing yet.

        Args:
          benchmark: the benchmark.
          num_support: takes its first ones; 0: all.
          is_balanced: whether random shots come evenly from all classes.
        """
        self.items = tuple(benchmark.support[: num_support or None])
        self._benchmark = benchmark
        self._medium_S = np.array([item.medium for item in self.items], dtype=object)
        self._video_S = np.array([_video(item) for item in self.items], dtype=object)
        labels = [item.label if is_balanced else 0 for item in self.items]
        self._label_S = np.array(labels, dtype=np.int64)

    def check(self, shots: int) -> None:
        """Raises a UserError if there are too few examples for so many shots of any query."""
        if len(self.items) < shots:
            raise self._too_few(shots, f"{len(self.items)} examples")

    def _too_few(self, shots: int, found: str) -> UserError:
        return UserError(
            f"{self._benchmark.name}: {shots} shots are asked for, but its support has {found}:"
            " take fewer config.shots, or more config.num_support"
        )

    def eligible(self, query: Item) -> np.ndarray:
        """The places of those that may be shots of a query."""
        return np.flatnonzero((self._medium_S != query.medium) & (self._video_S != _video(query)))

    def choose(
        self,
        query: Item,
        shots: int,
        selection: str,
        seed: int,
        similarity_S: np.ndarray | None = None,
    ) -> tuple[int, ...]:
        """The shots of a query.

        Args:
          query: what is asked.
          shots: how many.
          selection: `RANDOM`, or `RICES`: the most similar ones, nearest last.
          seed: of random selection.
          similarity_S: cosine of the query with each example, for RICES.

        Returns:
          Their places, in the order of the prompt.

        Raises:
          UserError: there are too few.
        """
        rows = self.eligible(query)
        if len(rows) < shots:
            raise self._too_few(shots, f"{len(rows)} examples for query {query.id!r}")
        if selection == RICES:
            if similarity_S is None:
                raise ValueError("RICES needs the similarity of the query to the support")
            return tuple(rices.nearest(similarity_S, rows, shots))
        if selection != RANDOM:
            raise ValueError(f"there is no selection {selection!r}")
        return self._deal(self._generator(query, "selection", seed), rows, shots)

    def text_examples(self, query: Item, seed: int) -> tuple[int, ...]:
        """The places of the two examples whose texts alone are in a 0-shot prompt."""
        random = self._generator(query, "text_examples", seed)
        rows = random.permutation(self.eligible(query))[:NUM_TEXT_EXAMPLES]
        return tuple(int(row) for row in rows)

    def orders(self, query: Item, shots: int, count: int, seed: int) -> np.ndarray:
        """Random orders of the shots for ensembling: int64 [count, shots], places in the prompt.

        One order is that of their choice.
        """
        if count == 1:
            return np.arange(shots)[np.newaxis]
        random = self._generator(query, "orders", seed)
        return np.stack([random.permutation(shots) for _ in range(count)])

    def _deal(self, random: np.random.Generator, rows: np.ndarray, shots: int) -> tuple[int, ...]:
        """Draws as evenly from the classes as they allow, without putting back; any order."""
        rows = random.permutation(rows)
        classes, class_R = np.unique(self._label_S[rows], return_inverse=True)
        # Which classes get one more than others is random, as well as the order in the prompt.
        place_C = random.permutation(len(classes))
        round_R = np.zeros(len(rows), np.int64)
        for number in range(len(classes)):
            members = np.flatnonzero(class_R == number)
            round_R[members] = np.arange(len(members))
        dealt = rows[np.lexsort((place_C[class_R], round_R))][:shots]
        return tuple(int(row) for row in random.permutation(dealt))

    def _generator(self, query: Item, role: str, seed: int) -> np.random.Generator:
        stream = f"benchmarks/{self._benchmark.name}/{role}/{query.id}"
        return seeds.generator(seed, stream, self._benchmark.split, 0)


def _video(item: Item) -> str:
    return str(item.details.get(VIDEO, item.medium))
