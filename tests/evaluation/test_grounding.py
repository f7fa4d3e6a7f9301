"""Which picture reaches the answer, shown by perturbation (fault S1), for every task."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.core.paths import flatten, unflatten
from flamingo_jax.data import vocabulary
from flamingo_jax.evaluation import fewshot
from flamingo_jax.evaluation.candidate_tries import make_trie, plan_tries
from flamingo_jax.evaluation.decoding import make_beam_search
from flamingo_jax.evaluation.prompts import PromptBatch, Shape, pad_batch
from flamingo_jax.evaluation.ranking import make_ranking
from flamingo_jax.evaluation.tasks.registry import FEW_SHOT_TASKS
from tests.evaluation import tiny

WORLD = vocabulary.load("world")
NUM_SUPPORT = 40
SHAPE = Shape(96, 6)  # one picture more than any prompt here has
NUM_ROWS = 1 + SHAPE.num_pictures
ANSWER_LENGTH = 4
CANDIDATES = [(5, 6, WORLD.end_of_chunk_id), (5, WORLD.end_of_chunk_id), (7, WORLD.end_of_chunk_id)]
NO_SIMILARITY = np.zeros((0, NUM_SUPPORT))


@functools.cache
def _functions() -> Any:
    """Jitted: whether text is decoded with caches, and how -> what the answer's logits give."""
    functions, _ = tiny.model(WORLD.size)
    search = make_beam_search(functions, beam_width=3, max_length=ANSWER_LENGTH, length_penalty=0.0)
    rank = make_ranking(functions)
    plan, _ = plan_tries([make_trie(CANDIDATES)], 2)

    def prefill(params: Any, batch: PromptBatch) -> Any:
        return functions.prefill(
            params, batch.text, batch.length, batch.media_index, batch.latents,
            SHAPE.num_tokens + ANSWER_LENGTH,
        )  # fmt: skip

    def uncached(params: Any, batch: PromptBatch) -> jax.Array:
        """Logits behind the prompt and the two tokens of an answer."""
        rows = jnp.arange(NUM_ROWS)[:, None]
        slots = batch.length[:, None] + jnp.arange(2)
        text = (
            jnp.pad(batch.text, ((0, 0), (0, 2))).at[rows, slots].set(jnp.array(CANDIDATES[0][:2]))
        )
        phi = jnp.pad(batch.media_index, ((0, 0), (0, 2)))
        phi = phi.at[rows, slots].set(batch.last_media_index[:, None])
        logits = functions.forward(params, text, phi, batch.latents)
        return logits[rows, jnp.concatenate([slots[:, :1] - 1, slots], axis=1)]

    def open_ended(params: Any, batch: PromptBatch) -> jax.Array:
        """The score of what beam search finds."""
        return search(params, *prefill(params, batch))[1]

    def closed(params: Any, batch: PromptBatch) -> jax.Array:
        """Log-likelihoods of the tokens of candidates."""
        return rank(params, *prefill(params, batch), plan)

    ways = {"uncached": uncached, "open": open_ended, "closed": closed}
    return {way: jax.jit(function) for way, function in ways.items()} | {
        "forward": jax.jit(functions.forward)
    }


def _without_self_attention(params: Any) -> Any:
    """The model in which no text position hears of another: what is left is cross-attention."""
    return unflatten(
        {
            path: leaf * 0 if "/attention/output/" in path else leaf
            for path, leaf in flatten(params).items()
        }
    )


def _perturbed_rows(name: str, shots: int) -> Any:
    """A prompt of the task: row 0 as it is, row i with picture i perturbed."""
    task = FEW_SHOT_TASKS[name](0, "test", NUM_SUPPORT)
    prompts = fewshot.make_prompts(task, WORLD, 3, shots, "random", NO_SIMILARITY)
    latents = tiny.latents(NUM_SUPPORT + 3)
    batch = pad_batch([prompts[2]] * NUM_ROWS, latents, SHAPE)
    for picture in range(1, NUM_ROWS):
        batch.latents[picture, picture - 1] += 1.0
    return prompts[2], batch


def _changed(way: str, params: Any, batch: PromptBatch) -> list[int]:
    """Rows whose answer is not that of row 0."""
    result = np.asarray(_functions()[way](params, batch)).reshape(NUM_ROWS, -1)
    return np.flatnonzero(np.abs(result - result[0]).max(axis=-1) > 1e-6).tolist()


@pytest.mark.parametrize("way", ["uncached", "open", "closed"])
@pytest.mark.parametrize("shots", [0, 1, 4])
@pytest.mark.parametrize("name", list(FEW_SHOT_TASKS))
def test_only_the_query_s_picture_reaches_the_answer(name: str, shots: int, way: str) -> None:
    params = _without_self_attention(tiny.model(WORLD.size)[1])
    prompt, batch = _perturbed_rows(name, shots)
    assert len(prompt.pictures) == shots + 1
    assert _changed(way, params, batch) == [shots + 1]


@pytest.mark.parametrize("way", ["uncached", "open", "closed"])
def test_with_self_attention_shots_matter_too(way: str) -> None:
    # Else the test above would show nothing.
    _, batch = _perturbed_rows("captioning", 4)
    changed = _changed(way, tiny.model(WORLD.size)[1], batch)
    assert changed == [1, 2, 3, 4, 5]  # and never the padding


def test_text_examples_see_no_picture() -> None:
    forward = _functions()["forward"]
    prompt, batch = _perturbed_rows("naming", 0)
    params = tiny.model(WORLD.size)[1]
    logits = np.asarray(forward(params, batch.text, batch.media_index, batch.latents))
    tag = prompt.media_index.index(1)
    assert tag == 9  # <BOS>, and two examples of three tokens and <EOC>
    assert (logits[:, :tag] == logits[:1, :tag]).all()
    assert np.abs(logits[1, tag:] - logits[0, tag:]).min(axis=-1).max() > 0
