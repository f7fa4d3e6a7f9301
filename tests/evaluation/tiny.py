"""Tiny random Flamingos, with open gates and every parameter away from its start."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flamingo_jax.config import (
    CrossAttentionConfig,
    LanguageModelConfig,
    ModelConfig,
    ResamplerConfig,
    VisionConfig,
)
from flamingo_jax.core.paths import flatten, unflatten
from flamingo_jax.evaluation.prompts import Prompt, PromptBatch, Shape, pad_batch
from flamingo_jax.models.build import FlamingoFunctions, build_flamingo

NUM_LATENTS = 2
WIDTH = 16
ROWS, MAX_TOKENS, MAX_PICTURES = 64, 16, 3  # of `log_probabilities`


def model_config(vocabulary_size: int) -> ModelConfig:
    return ModelConfig(
        vision_encoder=VisionConfig(variant="nfnet_tiny", image_size=32),
        language_model=LanguageModelConfig(
            num_layers=2, width=WIDTH, num_heads=2, head_dim=8, vocabulary_size=vocabulary_size
        ),
        resampler=ResamplerConfig(
            num_layers=1, width=WIDTH, num_heads=2, head_dim=8, num_latents=NUM_LATENTS,
            num_frames=8,
        ),
        cross_attention=CrossAttentionConfig(every=1, num_heads=2, head_dim=8),
    )  # fmt: skip


@functools.cache
def model(vocabulary_size: int, seed: int = 0) -> tuple[FlamingoFunctions, Any]:
    """Functions and parameters; every parameter is drawn, gates and biases included."""
    functions = build_flamingo(model_config(vocabulary_size))
    shapes = jax.eval_shape(functions.init, jax.random.key(0))
    random = np.random.default_rng(seed)

    def draw(path: str, leaf: jax.ShapeDtypeStruct) -> jax.Array:
        if path.endswith(("/scale", "_gate")):
            value = random.uniform(0.5, 1.5, leaf.shape)
        else:
            fan_in = leaf.shape[-2] if len(leaf.shape) > 1 else 1
            value = random.normal(0.0, 1.5 * fan_in**-0.5, leaf.shape)
        return jnp.asarray(value, leaf.dtype)

    return functions, unflatten({p: draw(p, leaf) for p, leaf in flatten(shapes).items()})


def latents(num_pictures: int, seed: int = 0) -> np.ndarray:
    """Visual tokens float32 [N, R, D] of made-up pictures."""
    random = np.random.default_rng(seed)
    return random.normal(size=(num_pictures, NUM_LATENTS, WIDTH)).astype(np.float32)


def random_prompts(
    lengths: Sequence[int], num_pictures: Sequence[int], vocabulary_size: int, seed: int = 0
) -> list[Prompt]:
    """Prompts of random tokens; the tags of a prompt's pictures are spread evenly."""
    random = np.random.default_rng(seed)
    prompts = []
    for length, count in zip(lengths, num_pictures, strict=True):
        prompts.append(
            Prompt(
                text=tuple(int(t) for t in random.integers(4, vocabulary_size, length)),
                media_index=tuple(position * count // length + 1 for position in range(length)),
                pictures=tuple(int(p) for p in random.integers(10, size=count)),
            )
        )
    return prompts


def batch(prompts: Sequence[Prompt], latents_NRD: np.ndarray) -> PromptBatch:
    """The prompts, padded to one size."""
    return pad_batch(prompts, latents_NRD, Shape(MAX_TOKENS - 5, MAX_PICTURES))


def log_probabilities(
    functions: FlamingoFunctions,
    params: Any,
    prompt: Prompt,
    answers: Sequence[Sequence[int]],
    latents_NRD: np.ndarray,
) -> np.ndarray:
    """Log-likelihood of whole answers behind a prompt, by the full forward pass: [answers]."""
    forward = _jitted_forward(functions)
    length, phi = len(prompt.text), len(prompt.pictures)
    # One size for all calls, so that the pass is compiled once.
    media = np.zeros((ROWS, MAX_PICTURES, *latents_NRD.shape[1:]), np.float32)
    media[:, :phi] = latents_NRD[list(prompt.pictures)]
    scores = []
    for start in range(0, len(answers), ROWS):
        some = answers[start : start + ROWS]
        text = np.zeros((ROWS, MAX_TOKENS), np.int32)
        media_index = np.full(text.shape, phi, np.int32)
        for row, answer in enumerate(some):
            text[row, : length + len(answer)] = [*prompt.text, *answer]
            media_index[row, :length] = prompt.media_index
        logits = np.asarray(forward(params, text, media_index, media))
        logp = np.asarray(jax.nn.log_softmax(logits), np.float64)
        scores += [
            sum(logp[row, length + i - 1, token] for i, token in enumerate(answer))
            for row, answer in enumerate(some)
        ]
    return np.array(scores)


@functools.cache
def _jitted_forward(functions: FlamingoFunctions) -> Any:
    return jax.jit(functions.forward)
