"""Ranking against the full forward pass of every candidate, on the real model."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import pytest

from flamingo_jax.data import schema
from flamingo_jax.evaluation import ranking
from flamingo_jax.evaluation.candidate_tries import make_trie, plan_tries
from flamingo_jax.evaluation.prompts import Prompt, PromptBatch
from tests.evaluation import tiny

V = 7  # control ids 0 to 3 and three words; `<EOC>` is 7
END = schema.end_of_chunk_id(V)
LATENTS = tiny.latents(10)
PROMPTS = tiny.random_prompts([5, 9, 7, 9, 2], [1, 3, 2, 3, 1], V)
# The first is a prefix of three others but for its end, and two are prefixes of others as they are.
CANDIDATES = [
    (4, END),
    (5, 6, END),
    (4, 5, END),
    (4, 5, 6, 6, END),
    (6, 5, 4, 4, END),
    (4,),
    (5, 6),
]


@functools.cache
def _jitted() -> Any:
    functions, _ = tiny.model(V)
    rank = ranking.make_ranking(functions)

    def run(params: Any, plan: Any, *fields: Any) -> Any:
        batch = PromptBatch(*fields)
        logits, cache = functions.prefill(
            params, batch.text, batch.length, batch.media_index, batch.latents,
            batch.text.shape[1] + 4,
        )  # fmt: skip
        return rank(params, logits, cache, plan)

    return jax.jit(run)


def _rank(
    prompts: Sequence[Prompt], candidates: Sequence[Sequence[tuple[int, ...]]], chunk_size: int
) -> list[np.ndarray]:
    """Scores of the candidates of each prompt, or of those of all."""
    tries = [make_trie(some) for some in candidates]
    plan, columns = plan_tries(tries, chunk_size)
    edges = np.asarray(_jitted()(tiny.model(V)[1], plan, *tiny.batch(prompts, LATENTS)))
    tries, columns = tries * (len(prompts) // len(tries)), columns * (len(prompts) // len(tries))
    return [
        trie.totals(row[column]) for trie, row, column in zip(tries, edges, columns, strict=True)
    ]


def _full(prompt: Prompt, candidates: Sequence[tuple[int, ...]]) -> np.ndarray:
    return tiny.log_probabilities(*tiny.model(V), prompt, candidates, LATENTS)


@pytest.mark.parametrize("chunk_size", [1, 3, 64])
def test_scores_are_those_of_every_candidate_s_full_prompt(chunk_size: int) -> None:
    scores = _rank(PROMPTS, [CANDIDATES], chunk_size)
    for prompt, row in zip(PROMPTS, scores, strict=True):
        np.testing.assert_allclose(row, _full(prompt, CANDIDATES), atol=1e-5)
    assert np.ptp(scores, axis=0).min() > 0.1  # the prompts matter


def test_a_batch_gives_what_one_by_one_gives() -> None:
    together = _rank(PROMPTS, [CANDIDATES], 3)
    for prompt, row in zip(PROMPTS, together, strict=True):
        alone = _rank([prompt] * len(PROMPTS), [CANDIDATES], 3)
        np.testing.assert_allclose(alone, [row] * len(PROMPTS), atol=1e-5)


def test_every_prompt_may_have_candidates_of_its_own() -> None:
    own = [CANDIDATES[:2], CANDIDATES, CANDIDATES[2:5], [(END,)], CANDIDATES[::-1]]
    for prompt, some, row in zip(PROMPTS, own, _rank(PROMPTS, own, 2), strict=True):
        np.testing.assert_allclose(row, _full(prompt, some), atol=1e-5)


def test_the_order_of_candidates_does_not_matter() -> None:
    # Fault S3: a cache that is used for one class must not be left filled for the next.
    scores = np.array(_rank(PROMPTS, [CANDIDATES], 2))
    turned = np.array(_rank(PROMPTS, [CANDIDATES[::-1]], 2))
    np.testing.assert_allclose(turned, scores[:, ::-1], atol=1e-6)
    assert np.abs(scores[:, 0] - scores[:, 1]).max() > 0.1


def test_an_ensemble_is_the_mean_of_log_likelihoods() -> None:
    scores = np.array([[[-1.0, -5.0], [-2.0, -3.0]], [[-7.0, -2.0], [-2.0, -4.0]]])
    ensemble = ranking.mean_over_permutations(scores)
    assert ensemble.tolist() == [[-4.0, -3.5], [-2.0, -3.5]]
    # Of the sum of likelihoods, the first query's first answer would be the likelier one.
    assert ensemble.argmax(axis=1).tolist() == [1, 0]
    assert ensemble.dtype == np.float32 and ranking.NUM_PERMUTATIONS == 6
