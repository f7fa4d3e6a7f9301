"""Beam search against brute force, ranking against the full forward pass, batches against rows."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np
import pytest

from flamingo_jax.data import schema
from flamingo_jax.evaluation.decoding import make_beam_search, make_ranking
from flamingo_jax.evaluation.prompts import Prompt
from tests.evaluation import tiny

V = 7  # control ids 0 to 3 and three words; `<EOC>` is 7
END = schema.end_of_chunk_id(V)
NUM_TOKENS = V + 1
LATENTS = tiny.latents(10)
PROMPTS = tiny.random_prompts([5, 9, 7, 9, 2], [1, 3, 2, 3, 1], V)


@functools.cache
def _jitted(beam_width: int, max_length: int, length_penalty: float) -> Any:
    functions, _ = tiny.model(V)
    search = make_beam_search(
        functions, beam_width=beam_width, max_length=max_length, length_penalty=length_penalty
    )

    def run(params: Any, text: Any, length: Any, media_index: Any, latents: Any, phi: Any) -> Any:
        cache_length = text.shape[1] + max_length - 1
        logits, cache = functions.prefill(params, text, length, media_index, latents, cache_length)
        return search(params, logits, cache, length, phi)

    return jax.jit(run)


def _beam_search(
    prompts: Sequence[Prompt],
    beam_width: int,
    max_length: int,
    length_penalty: float = 0.0,
    seed: int = 0,
) -> tuple[list[tuple[int, ...]], np.ndarray]:
    run = _jitted(beam_width, max_length, length_penalty)
    tokens, scores = run(tiny.model(V, seed)[1], *tiny.batch(prompts, LATENTS))
    return [_cut(map(int, row)) for row in np.asarray(tokens)], np.asarray(scores)


def _cut(tokens: Iterable[int]) -> tuple[int, ...]:
    """Up to the first padding, which a random model is not above generating."""
    return tuple(itertools.takewhile(lambda token: token != schema.PAD_ID, tokens))


def _all_answers(max_length: int) -> list[tuple[int, ...]]:
    """All token sequences that end in `<EOC>` and have it nowhere else."""
    return [
        (*words, END)
        for length in range(max_length)
        for words in itertools.product(range(NUM_TOKENS - 1), repeat=length)
    ]


def _best(prompt: Prompt, max_length: int, length_penalty: float, seed: int) -> Any:
    functions, params = tiny.model(V, seed)
    answers = _all_answers(max_length)
    scores = tiny.log_probabilities(functions, params, prompt, answers, LATENTS)
    scores = scores / np.array([len(answer) for answer in answers]) ** length_penalty
    return answers[int(scores.argmax())][:-1], scores.max()


@pytest.mark.parametrize(
    ("beam_width", "max_length", "length_penalty"),
    [(NUM_TOKENS, 2, 1.0), (NUM_TOKENS**2, 3, 0.0)],
)
def test_a_beam_that_drops_nothing_finds_the_best_of_all_answers(
    beam_width: int, max_length: int, length_penalty: float
) -> None:
    for seed in (0, 1):
        found, scores = _beam_search(PROMPTS, beam_width, max_length, length_penalty, seed)
        for prompt, answer, score in zip(PROMPTS, found, scores, strict=True):
            best, best_score = _best(prompt, max_length, length_penalty, seed)
            assert answer == _cut(best)
            assert score == pytest.approx(best_score, abs=1e-4)


def _may_follow(step: int, max_length: int) -> Sequence[int]:
    return range(NUM_TOKENS) if step < max_length - 1 else (END,)


@pytest.mark.parametrize("seed", [0, 1])
def test_width_one_is_greedy(seed: int) -> None:
    functions, params = tiny.model(V, seed)
    found, scores = _beam_search(PROMPTS, 1, max_length=4, seed=seed)
    for prompt, answer, score in zip(PROMPTS, found, scores, strict=True):
        tokens: tuple[int, ...] = ()
        while END not in tokens:
            # The fourth and last token can only be the end.
            options = [(*tokens, token) for token in _may_follow(len(tokens), 4)]
            values = tiny.log_probabilities(functions, params, prompt, options, LATENTS)
            tokens, value = options[int(values.argmax())], values.max()
        assert answer == _cut(token for token in tokens if token != END)
        assert score == pytest.approx(value, abs=1e-4)


def _reference_beam_search(prompt: Prompt, width: int, max_length: int, seed: int) -> Any:
    """The definition, with full forward passes, and no early stop."""
    functions, params = tiny.model(V, seed)
    live: list[tuple[int, ...]] = [()]
    finished: list[tuple[float, tuple[int, ...]]] = []
    for step in range(max_length):
        options = [(*tokens, token) for tokens in live for token in _may_follow(step, max_length)]
        scores = tiny.log_probabilities(functions, params, prompt, options, LATENTS)
        order = np.argsort(-scores, kind="stable")[: 2 * width]
        finished += [(scores[i], options[i][:-1]) for i in order[:width] if options[i][-1] == END]
        going_on = [i for i in order if options[i][-1] != END][:width]
        live = [options[i] for i in going_on]
    return max(finished, key=lambda pair: pair[0])


@pytest.mark.parametrize("seed", [0, 1])
def test_width_three_is_the_definition_in_spite_of_stopping_early(seed: int) -> None:
    found, scores = _beam_search(PROMPTS, 3, max_length=5, seed=seed)
    for prompt, answer, score in zip(PROMPTS, found, scores, strict=True):
        value, tokens = _reference_beam_search(prompt, 3, 5, seed)
        assert answer == _cut(tokens)
        assert score == pytest.approx(value, abs=1e-4)


def test_a_batch_gives_what_one_by_one_gives() -> None:
    together, scores = _beam_search(PROMPTS, 3, max_length=5)
    for prompt, answer, score in zip(PROMPTS, together, scores, strict=True):
        alone, alone_scores = _beam_search([prompt] * len(PROMPTS), 3, max_length=5)
        assert set(alone) == {answer}
        np.testing.assert_allclose(alone_scores, score, atol=1e-5)
    assert len(set(together)) > 1  # else nothing was shown


CANDIDATES = [(4, END), (5, 6, END), (5, END), (6, 5, 4, 4, END)]


@functools.cache
def _jitted_ranking() -> Any:
    functions, _ = tiny.model(V)
    rank = make_ranking(functions)

    def run(
        params: Any, text: Any, length: Any, media_index: Any, latents: Any, phi: Any, answers: Any
    ) -> Any:
        cache_length = text.shape[1] + answers.shape[1] - 1
        logits, cache = functions.prefill(params, text, length, media_index, latents, cache_length)
        return rank(params, logits, cache, length, phi, answers)

    return jax.jit(run)


def _rank(prompts: Sequence[Prompt], candidates: Sequence[tuple[int, ...]]) -> np.ndarray:
    answers = np.zeros((len(candidates), max(map(len, candidates))), np.int32)
    for row, candidate in enumerate(candidates):
        answers[row, : len(candidate)] = candidate
    batch = tiny.batch(prompts, LATENTS)
    return np.asarray(_jitted_ranking()(tiny.model(V)[1], *batch, answers))


def test_ranking_is_the_log_likelihood_of_the_full_forward_pass() -> None:
    functions, params = tiny.model(V)
    for prompt, row in zip(PROMPTS, _rank(PROMPTS, CANDIDATES), strict=True):
        expected = tiny.log_probabilities(functions, params, prompt, CANDIDATES, LATENTS)
        np.testing.assert_allclose(row, expected, atol=2e-5)
        alone = _rank([prompt] * len(PROMPTS), CANDIDATES)
        np.testing.assert_allclose(alone, np.tile(row, (len(PROMPTS), 1)), atol=1e-5)


def test_ranking_does_not_depend_on_the_candidates_before() -> None:
    # Fault S3: a cache that is used for one class must not be left filled for the next.
    scores = _rank(PROMPTS, CANDIDATES)
    assert np.abs(scores[:, 0] - scores[:, 2]).max() > 0.1
    np.testing.assert_allclose(_rank(PROMPTS, CANDIDATES[::-1]), scores[:, ::-1], atol=1e-6)
