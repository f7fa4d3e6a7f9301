"""Answers of a model to prompts, from texts to texts."""

from __future__ import annotations

import functools

import jax
import numpy as np
import pytest

from flamingo_jax.config import EvaluationConfig, MeshConfig
from flamingo_jax.data import vocabulary
from flamingo_jax.evaluation.answering import Answerer, FewShotModel
from flamingo_jax.evaluation.prompts import Prompt, Shape
from flamingo_jax.sharding.mesh import make_mesh
from tests.evaluation import tiny

WORLD = vocabulary.load("world")
SEED = 10  # of a model whose answers differ
SHAPE = Shape(11, 3)
LATENTS = tiny.latents(10)
PROMPTS = tiny.random_prompts([5, 9, 7], [1, 3, 2], WORLD.size)
CANDIDATES = ("red", "red seven", "blue", "two blue ones")


@functools.cache
def _answerer(num_devices: int = 1) -> Answerer:
    functions, params = tiny.model(WORLD.size, SEED)
    mesh = make_mesh(MeshConfig(data=num_devices))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    model = FewShotModel(
        functions=functions,
        params=jax.device_put(params, whole),
        mesh=mesh,
        vocabulary=WORLD,
        image_size=32,
        checkpoint="tiny",
    )
    config = EvaluationConfig(batch_size=2, max_decode_length=4, length_penalty=1.0)
    return Answerer(model, config)


def _tokens(text: str) -> list[int]:
    return [*WORLD.encode(f" {text}"), WORLD.end_of_chunk_id]


def _full(prompt: Prompt, texts: tuple[str, ...]) -> np.ndarray:
    answers = [_tokens(text) for text in texts]
    return tiny.log_probabilities(*tiny.model(WORLD.size, SEED), prompt, answers, LATENTS)


@pytest.mark.parametrize("num_devices", [1, 2])
def test_candidates_get_the_log_likelihood_of_a_space_the_text_and_the_end(
    num_devices: int,
) -> None:
    answerer = _answerer(num_devices)
    scores = answerer.rank(PROMPTS, LATENTS, SHAPE, CANDIDATES)
    assert scores.shape == (3, 4) and scores.dtype == np.float32
    for prompt, row in zip(PROMPTS, scores, strict=True):
        np.testing.assert_allclose(row, _full(prompt, CANDIDATES), atol=1e-4)


def test_the_mean_divides_by_the_number_of_tokens() -> None:
    scores = _answerer().rank(PROMPTS, LATENTS, SHAPE, CANDIDATES)
    mean = _answerer().rank(PROMPTS, LATENTS, SHAPE, CANDIDATES, mean=True)
    lengths = [len(_tokens(text)) for text in CANDIDATES]
    assert len(set(lengths)) > 1
    np.testing.assert_allclose(mean, scores / lengths, rtol=1e-6)


def test_prompts_may_have_candidates_of_their_own() -> None:
    own = [CANDIDATES[:1], CANDIDATES, CANDIDATES[2:]]
    scores = _answerer().rank_own(PROMPTS, LATENTS, SHAPE, own)
    for prompt, texts, row in zip(PROMPTS, own, scores, strict=True):
        np.testing.assert_allclose(row, _full(prompt, texts), atol=1e-4)
    with pytest.raises(ValueError, match="2 lists of candidates for 3 prompts"):
        _answerer().rank_own(PROMPTS, LATENTS, SHAPE, own[:2])


def test_an_answer_does_not_depend_on_its_batch() -> None:
    answerer = _answerer()
    together = answerer.generate(PROMPTS, LATENTS, SHAPE)
    alone = [answerer.generate([prompt], LATENTS, SHAPE)[0] for prompt in PROMPTS]
    longer = answerer.generate(PROMPTS, LATENTS, Shape(14, 4))
    assert together == alone == longer
    assert len(set(together)) > 1  # else nothing was shown
