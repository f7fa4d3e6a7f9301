"""How long the prompts of a benchmark get, before any of them is answered."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from flamingo_jax.config_evaluation import REAL, BenchmarkEvaluationConfig
from flamingo_jax.data import schema
from flamingo_jax.data.vocabulary import Vocabulary
from flamingo_jax.evaluation import benchmark_prompts
from flamingo_jax.evaluation.benchmark_questions import Questions, Way
from flamingo_jax.evaluation.fewshot import RICES
from flamingo_jax.evaluation.results import LeftOut
from flamingo_jax.evaluation.task import NUM_TEXT_EXAMPLES

_NUM_BOS = 1
_NUM_EOC = 1


def left_out(
    questions: Questions,
    ways: Sequence[Way],
    config: BenchmarkEvaluationConfig,
    vocabulary: Vocabulary,
) -> list[LeftOut]:
    """Decides which numbers of shots are not asked because prompts are too long; prints a note.

    One seed with too long a prompt is enough: means over other seeds, or over the queries that are
    left, could not be compared.

    Args:
      questions: of a benchmark.
      ways: in which it is to be asked.
      config: of the evaluation.
      vocabulary: of the language model.

    Returns:
      Each number of shots and way of choosing them; the reason is empty where it is asked.
    """
    benchmark, limit = questions.benchmark, config.max_prompt_length
    lengths = PromptLengths(questions, vocabulary)
    num_queries = min(config.num_queries or len(questions.queries), len(questions.queries))
    decided = []
    for shots, selection in dict.fromkeys((way.shots, way.selection) for way in ways):
        seeds = [
            way
            for way in ways
            if (way.shots, way.selection, way.images) == (shots, selection, REAL)
        ]
        longest = 0
        if limit:
            longest = max(lengths.longest_above(limit, way, num_queries) for way in seeds)
        reason = ""
        if longest:
            reason = f"prompts have up to {longest} tokens, config.max_prompt_length is {limit}"
            chosen = f" {selection}" if selection == RICES else ""
            print(f"note: {benchmark.name}, {shots}{chosen} shots: left out: {reason}", flush=True)
        decided.append(
            LeftOut(
                task=benchmark.name, split=benchmark.split, shots=shots, selection=selection,
                reason=reason,
            )
        )  # fmt: skip
    return decided


class PromptLengths:
    """Numbers of tokens of a benchmark's prompts; every text is tokenised once."""

    def __init__(self, questions: Questions, vocabulary: Vocabulary) -> None:
        """Tokenises nothing yet."""
        self._questions = questions
        self._template = questions.task.template
        # Kept by this object alone: many queries have the same text.
        self._count = functools.cache(lambda text: len(vocabulary.encode(text)))

    def longest_above(self, limit: int, way: Way, num_queries: int) -> int:
        """Tokens of the longest prompt if it has more than `limit`, else 0.

        Which shots a query has is looked at only where the longest examples together could be too
        much; with RICES, pictures are encoded for that.

        Args:
          limit: tokens.
          way: how queries are asked.
          num_queries: of the first so many queries.
        """
        leads_Q = self._leads(num_queries)
        each_S = self._examples(with_picture=way.shots > 0)
        num_told = way.shots or (NUM_TEXT_EXAMPLES if self._questions.task.is_open else 0)
        if leads_Q.max() + np.sort(each_S)[::-1][:num_told].sum() <= limit:
            return 0
        lengths = [
            int(lead + each_S[list(self._questions.told(index, way))].sum())
            for index, lead in enumerate(leads_Q)
        ]
        longest = max(lengths)
        return longest if longest > limit else 0

    def _leads(self, num_queries: int) -> np.ndarray:
        """Tokens of each query's prompt without any examples."""
        around = _NUM_BOS + self._count(schema.IMAGE_TAG)
        return np.array([
            around + self._count(benchmark_prompts.lead(self._template, item))
            for item in self._questions.queries[:num_queries]
        ])  # fmt: skip

    def _examples(self, *, with_picture: bool) -> np.ndarray:
        """Tokens that each example of the support adds to a prompt."""
        around = _NUM_EOC + (self._count(schema.IMAGE_TAG) if with_picture else 0)
        return np.array([
            around + self._count(benchmark_prompts.shot_text(self._template, item))
            for item in self._questions.support.items
        ], dtype=np.int64)  # fmt: skip
