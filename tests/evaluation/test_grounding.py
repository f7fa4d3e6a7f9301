"""Which picture reaches the answer, shown by perturbation (fault S1), for every task."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
import pytest

from flamingo_jax.core.paths import flatten, unflatten
from flamingo_jax.data import vocabulary
from flamingo_jax.evaluation import fewshot
from flamingo_jax.evaluation.prompts import Shape, pad_batch
from flamingo_jax.evaluation.tasks.registry import FEW_SHOT_TASKS
from tests.evaluation import tiny

WORLD = vocabulary.load("world")
NUM_SUPPORT = 40
SHAPE = Shape(96, 6)  # one picture more than any prompt here has
NUM_ROWS = 1 + SHAPE.num_pictures
NO_SIMILARITY = np.zeros((0, NUM_SUPPORT))


@functools.cache
def _functions() -> tuple[Any, Any, Any]:
    """Jitted forward, prefill and decode step."""
    functions, _ = tiny.model(WORLD.size)
    prefill = jax.jit(
        lambda params, text, length, media_index, latents: functions.prefill(
            params, text, length, media_index, latents, SHAPE.num_tokens + 1
        )
    )
    return jax.jit(functions.forward), prefill, jax.jit(functions.decode_step)


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


@pytest.mark.parametrize("shots", [0, 1, 4])
@pytest.mark.parametrize("name", list(FEW_SHOT_TASKS))
def test_only_the_query_s_picture_reaches_the_answer(name: str, shots: int) -> None:
    _, prefill, decode_step = _functions()
    params = _without_self_attention(tiny.model(WORLD.size)[1])
    prompt, batch = _perturbed_rows(name, shots)
    assert len(prompt.pictures) == shots + 1
    first, cache = prefill(params, batch.text, batch.length, batch.media_index, batch.latents)
    answer = np.full(NUM_ROWS, WORLD.encode(" seven")[0], np.int32)
    second, _ = decode_step(params, answer, batch.length, batch.last_media_index, cache)
    for logits in (np.asarray(first), np.asarray(second)):
        changed = np.abs(logits - logits[0]).max(axis=-1) > 1e-6
        assert np.flatnonzero(changed).tolist() == [shots + 1]


def test_with_self_attention_shots_matter_too() -> None:
    # Else the test above would show nothing.
    _, prefill, _ = _functions()
    _, batch = _perturbed_rows("captioning", 4)
    params = tiny.model(WORLD.size)[1]
    logits, _ = prefill(params, batch.text, batch.length, batch.media_index, batch.latents)
    changed = np.abs(np.asarray(logits) - np.asarray(logits)[0]).max(axis=-1) > 1e-6
    assert np.flatnonzero(changed).tolist() == [1, 2, 3, 4, 5]  # and never the padding


def test_text_examples_see_no_picture() -> None:
    forward, _, _ = _functions()
    prompt, batch = _perturbed_rows("naming", 0)
    params = tiny.model(WORLD.size)[1]
    logits = np.asarray(forward(params, batch.text, batch.media_index, batch.latents))
    tag = prompt.media_index.index(1)
    assert tag == 9  # <BOS>, and two examples of three tokens and <EOC>
    assert (logits[:, :tag] == logits[:1, :tag]).all()
    assert np.abs(logits[1, tag:] - logits[0, tag:]).min(axis=-1).max() > 0
