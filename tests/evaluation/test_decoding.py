"""Beam search against brute force and its definition, batches against rows.

Most of it runs on a language in which every history has random logits of its own, read off the
caches: a beam that goes on with another beam's tokens, or sees padding, is found out at once. The
cached path of the real model is held against its full forward pass.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.data import schema
from flamingo_jax.evaluation.decoding import make_beam_search
from flamingo_jax.evaluation.prompts import Prompt, PromptBatch
from flamingo_jax.models.build import FlamingoFunctions
from flamingo_jax.models.cache import (
    AnswerPlace,
    GroupCache,
    KeysAndValues,
    PromptCache,
    TextCache,
)
from tests.evaluation import tiny

V = 7  # control ids 0 to 3 and three words; `<EOC>` is 7
END = schema.end_of_chunk_id(V)
NUM_TOKENS = V + 1
LATENTS = tiny.latents(10)
PROMPTS = tiny.random_prompts([5, 9, 7, 9, 2], [1, 3, 2, 3, 1], V)
SEEDS = (0, 1, 2, 3)

Score = Callable[[Prompt, Sequence[Sequence[int]]], np.ndarray]
"""(prompt, token sequences) -> their log-likelihoods, without any cache."""


def _cut(tokens: Iterable[int]) -> tuple[int, ...]:
    """Up to the first padding, which a random model is not above generating."""
    return tuple(itertools.takewhile(lambda token: token != schema.PAD_ID, tokens))


def _hash(tokens: jax.Array, positions: jax.Array, is_seen: jax.Array) -> jax.Array:
    """A number for the tokens that are seen, at their positions; over the last axis."""
    positions = positions.astype(jnp.uint32)
    terms = (tokens.astype(jnp.uint32) + 1) * (2 * positions + 1) * jnp.uint32(2654435761)
    return jnp.where(is_seen, (terms ^ (terms >> 13)) * jnp.uint32(2246822519), 0).sum(axis=-1)


def _logits(seed: jax.Array, number: jax.Array) -> jax.Array:
    """Random logits [..., V+1] of histories, by their hashes."""
    key = jax.random.key(seed)
    draw = jnp.vectorize(
        lambda n: jax.random.normal(jax.random.fold_in(key, n), (V + 1,)), signature="()->(v)"
    )
    return 2.0 * draw(number.astype(jnp.uint32)).at[..., END].add(-0.5)


def _language() -> FlamingoFunctions:
    """The random language as a Flamingo whose caches hold the tokens themselves as keys."""

    def prompt_hash(text_BT: jax.Array, length_B: jax.Array) -> jax.Array:
        positions = jnp.arange(text_BT.shape[1])
        return _hash(text_BT, positions, positions < length_B[:, None])

    def prefill(
        seed: jax.Array, text_BT: jax.Array, length_B: jax.Array, _: Any, __: Any, ___: int
    ) -> Any:
        leaf = text_BT.astype(jnp.float32)[None, None, :, None, :, None]
        both = KeysAndValues(jnp.swapaxes(leaf, -1, -2), leaf)
        text = TextCache(both, jnp.zeros((1, 1, 1, 1, 1)))
        cache = PromptCache(
            length_B, jnp.ones((len(text_BT), 1, 1, 1), bool), (GroupCache(text, None),)
        )
        return _logits(seed, prompt_hash(text_BT, length_B)), cache

    def go_on(
        seed: jax.Array, token_BT: jax.Array, place: AnswerPlace, cache: Any, answers: Any
    ) -> Any:
        slots = place.slot + jnp.arange(token_BT.shape[1])
        values = answers[0].text.values.at[0, 0, :, 0, slots, 0].set(token_BT.T.astype(jnp.float32))
        tokens_B1A = values[0, 0, :, 0, :, 0].astype(jnp.int32)[:, None]
        position_BTA = (cache.length[:, None] + place.depth)[..., None] - place.distance
        number_BT = _hash(tokens_B1A, position_BTA, place.distance >= 0)
        text_BT = cache.stacks[0].text.text.values[0, 0, :, 0, :, 0].astype(jnp.int32)
        number_BT = number_BT + prompt_hash(text_BT, cache.length)[:, None]
        own = answers[0].text._replace(values=values)
        return _logits(seed, number_BT), (GroupCache(own, None),)

    return dataclasses.replace(
        tiny.model(V)[0],
        prefill=prefill,
        go_on=go_on,
        forward=lambda *arguments: None,
        end_of_chunk_id=END,
    )


LANGUAGE = _language()


@jax.jit
def _log_softmax_of_language(seed: jax.Array, text_BT: jax.Array, length_B: jax.Array) -> jax.Array:
    positions = jnp.arange(text_BT.shape[1])
    number_B = _hash(text_BT, positions, positions < length_B[:, None])
    return jax.nn.log_softmax(_logits(seed, number_B))


def _language_score(seed: int) -> Score:
    def score(prompt: Prompt, answers: Sequence[Sequence[int]]) -> np.ndarray:
        """Every prefix of every answer is scored once, all in one call of one size."""
        prefixes = sorted({tuple(a[:end]) for a in answers for end in range(len(a))})
        rows = {prefix: row for row, prefix in enumerate(prefixes)}
        text = np.zeros((tiny.ROWS, tiny.MAX_TOKENS), np.int32)
        length = np.zeros(tiny.ROWS, np.int32)
        for prefix, row in rows.items():
            length[row] = len(prompt.text) + len(prefix)
            text[row, : length[row]] = [*prompt.text, *prefix]
        logp = np.asarray(_log_softmax_of_language(jnp.int32(seed), text, length), np.float64)
        return np.array(
            [sum(logp[rows[tuple(a[:i])], a[i]] for i in range(len(a))) for a in answers]
        )

    return score


def _flamingo_score(seed: int) -> Score:
    functions, params = tiny.model(V, seed)
    return lambda prompt, answers: tiny.log_probabilities(
        functions, params, prompt, answers, LATENTS
    )


@functools.cache
def _jitted(
    functions: FlamingoFunctions, beam_width: int, max_length: int, length_penalty: float
) -> Any:
    search = make_beam_search(
        functions, beam_width=beam_width, max_length=max_length, length_penalty=length_penalty
    )

    def run(params: Any, *fields: Any) -> Any:
        batch = PromptBatch(*fields)
        logits, cache = functions.prefill(
            params, batch.text, batch.length, batch.media_index, batch.latents,
            batch.text.shape[1] + max_length - 1,
        )  # fmt: skip
        return search(params, logits, cache)

    return jax.jit(run)


def _beam_search(
    functions: FlamingoFunctions,
    params: Any,
    prompts: Sequence[Prompt],
    beam_width: int,
    max_length: int,
    length_penalty: float = 0.0,
) -> tuple[list[tuple[int, ...]], np.ndarray]:
    run = _jitted(functions, beam_width, max_length, length_penalty)
    tokens, scores = run(params, *tiny.batch(prompts, LATENTS))
    return [_cut(map(int, row)) for row in np.asarray(tokens)], np.asarray(scores)


def _all_answers(max_length: int) -> list[tuple[int, ...]]:
    """All token sequences that end in `<EOC>` and have it nowhere else."""
    return [
        (*words, END)
        for length in range(max_length)
        for words in itertools.product(range(NUM_TOKENS - 1), repeat=length)
    ]


@pytest.mark.parametrize(
    ("beam_width", "max_length", "length_penalty"),
    [(NUM_TOKENS, 2, 1.0), (NUM_TOKENS**2, 3, -0.5)],
)
def test_a_beam_that_drops_nothing_finds_the_best_of_all_answers(
    beam_width: int, max_length: int, length_penalty: float
) -> None:
    answers = _all_answers(max_length)
    lengths = np.array([len(answer) for answer in answers])
    for seed in SEEDS:
        found, scores = _beam_search(
            LANGUAGE, jnp.int32(seed), PROMPTS, beam_width, max_length, length_penalty
        )
        for prompt, answer, score in zip(PROMPTS, found, scores, strict=True):
            values = _language_score(seed)(prompt, answers) / lengths**length_penalty
            assert answer == _cut(answers[int(values.argmax())][:-1])
            assert score == pytest.approx(values.max(), abs=1e-4)


def _may_follow(step: int, max_length: int) -> Sequence[int]:
    return range(NUM_TOKENS) if step < max_length - 1 else (END,)


def test_width_one_is_greedy() -> None:
    lengths = set()
    for seed in SEEDS:
        found, scores = _beam_search(LANGUAGE, jnp.int32(seed), PROMPTS, 1, max_length=4)
        for prompt, answer, score in zip(PROMPTS, found, scores, strict=True):
            tokens: tuple[int, ...] = ()
            while END not in tokens:
                # The fourth and last token can only be the end.
                options = [(*tokens, token) for token in _may_follow(len(tokens), 4)]
                values = _language_score(seed)(prompt, options)
                tokens, value = options[int(values.argmax())], values.max()
            assert answer == _cut(tokens[:-1])
            assert score == pytest.approx(value, abs=1e-4)
            lengths.add(len(tokens))
    assert lengths == {1, 2, 3, 4}


def _definition(
    score: Score, prompt: Prompt, width: int, max_length: int
) -> tuple[tuple[int, ...], float]:
    """Beam search by its definition: no cache, and no early stop."""
    live: list[tuple[int, ...]] = [()]
    finished: list[tuple[float, tuple[int, ...]]] = []
    for step in range(max_length):
        options = [(*tokens, token) for tokens in live for token in _may_follow(step, max_length)]
        values = score(prompt, options) if options else np.zeros(0)
        order = np.argsort(-values, kind="stable")[: 2 * width]
        finished += [(values[i], options[i][:-1]) for i in order[:width] if options[i][-1] == END]
        live = [options[i] for i in order if options[i][-1] != END][:width]
    value, tokens = max(finished, key=lambda pair: pair[0])
    return tokens, value


def test_width_three_is_the_definition_in_spite_of_stopping_early() -> None:
    beats_greedy = 0
    for seed in SEEDS:
        found, scores = _beam_search(LANGUAGE, jnp.int32(seed), PROMPTS, 3, max_length=4)
        _, greedy = _beam_search(LANGUAGE, jnp.int32(seed), PROMPTS, 1, max_length=4)
        for prompt, answer, score in zip(PROMPTS, found, scores, strict=True):
            tokens, value = _definition(_language_score(seed), prompt, 3, 4)
            assert answer == _cut(tokens)
            assert score == pytest.approx(value, abs=1e-4)
        beats_greedy += int((scores > greedy + 1e-3).sum())
    assert beats_greedy > 3


@pytest.mark.parametrize("seed", [1, 5])
def test_the_model_s_cached_search_is_that_of_its_full_forward_pass(seed: int) -> None:
    functions, params = tiny.model(V, seed)
    found, scores = _beam_search(tiny.model(V)[0], params, PROMPTS, 3, max_length=4)
    for prompt, answer, score in zip(PROMPTS, found, scores, strict=True):
        tokens, value = _definition(_flamingo_score(seed), prompt, 3, 4)
        assert answer == _cut(tokens)
        assert score == pytest.approx(value, abs=2e-4)


def test_a_batch_gives_what_one_by_one_gives() -> None:
    functions, params = tiny.model(V)
    for model, parameters in ((functions, params), (LANGUAGE, jnp.int32(0))):
        together, scores = _beam_search(model, parameters, PROMPTS, 3, max_length=4)
        for prompt, answer, score in zip(PROMPTS, together, scores, strict=True):
            alone, alone_scores = _beam_search(
                model, parameters, [prompt] * len(PROMPTS), 3, max_length=4
            )
            assert set(alone) == {answer}
            np.testing.assert_allclose(alone_scores, score, atol=1e-5)
        assert len(set(together)) > 1  # else nothing was shown


def test_ties_go_to_the_lower_token() -> None:
    def even(seed: Any, token_BT: jax.Array, place: Any, _: Any, answers: Any) -> Any:
        return jnp.zeros((*token_BT.shape, V + 1)), answers

    def even_prefill(seed: Any, text_BT: jax.Array, *rest: Any) -> Any:
        _, cache = LANGUAGE.prefill(jnp.int32(0), text_BT, *rest)
        return jnp.zeros((len(text_BT), V + 1)).at[:, END].set(-9.0), cache

    flat = dataclasses.replace(LANGUAGE, prefill=even_prefill, go_on=even)
    tokens, _ = _jitted(flat, 3, 2, 0.0)(jnp.int32(0), *tiny.batch(PROMPTS, LATENTS))
    # All words are equal, and so are the ways to end: the first word of all, which is id 0.
    assert np.asarray(tokens)[:, 0].tolist() == [0] * len(PROMPTS)


def test_a_search_stops_at_the_end_of_chunk() -> None:
    """What is generated behind `<EOC>` would be another answer's."""
    calls = []

    def counted(*arguments: Any) -> Any:
        jax.debug.callback(lambda: calls.append(1))
        return LANGUAGE.go_on(*arguments)

    def sure_to_end(seed: Any, text_BT: jax.Array, *rest: Any) -> Any:
        logits, cache = LANGUAGE.prefill(seed, text_BT, *rest)
        return logits.at[:, END].set(50.0), cache

    functions = dataclasses.replace(LANGUAGE, prefill=sure_to_end, go_on=counted)
    found, scores = _beam_search(functions, jnp.int32(0), PROMPTS, 3, max_length=4)
    jax.effects_barrier()
    assert found == [()] * len(PROMPTS)
    np.testing.assert_allclose(scores, 0.0, atol=1e-6)
    assert not calls
    _beam_search(
        dataclasses.replace(functions, prefill=LANGUAGE.prefill), jnp.int32(0), PROMPTS, 3, 4
    )
    jax.effects_barrier()
    assert calls  # else nothing was counted


def test_a_length_penalty_prefers_longer_answers() -> None:
    plain, fair = (
        [
            len(answer)
            for seed in SEEDS
            for answer in _beam_search(LANGUAGE, jnp.int32(seed), PROMPTS, 3, 4, penalty)[0]
        ]
        for penalty in (0.0, 1.0)
    )
    assert sum(fair) > sum(plain)


def test_the_same_search_twice_is_the_same() -> None:
    functions, params = tiny.model(V)
    first, first_scores = _beam_search(functions, params, PROMPTS, 3, max_length=4)
    second, second_scores = _beam_search(functions, params, PROMPTS, 3, max_length=4)
    assert first == second
    np.testing.assert_array_equal(first_scores, second_scores)


def test_layers_apart_find_the_same_answers() -> None:
    functions, params = tiny.model(V)
    expected, scores = _beam_search(functions, params, PROMPTS, 3, max_length=4)
    apart = functions.layers_apart(params)
    found, found_scores = _beam_search(functions, apart, PROMPTS, 3, max_length=4)
    assert found == expected
    np.testing.assert_allclose(found_scores, scores, atol=1e-5)
