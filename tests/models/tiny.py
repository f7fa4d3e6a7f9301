"""Tiny models for tests: every part real, every size small."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np

from flamingo_jax.config import (
    CrossAttentionConfig,
    LanguageModelConfig,
    ModelConfig,
    ResamplerConfig,
    TextTowerConfig,
    VisionConfig,
)
from flamingo_jax.core.paths import flatten, unflatten
from flamingo_jax.models import build
from flamingo_jax.models.cache import AnswerPlace

VOCABULARY_SIZE = 40
IMAGE_SIZE = 32


def model_config(num_layers: int = 4, every: int = 2, num_latents: int = 3) -> ModelConfig:
    """A Flamingo of `num_layers` blocks, 24 wide."""
    return ModelConfig(
        vision_encoder=VisionConfig(variant="nfnet_tiny", image_size=IMAGE_SIZE),
        text_tower=TextTowerConfig(
            num_layers=1, width=16, num_heads=2, vocabulary_size=VOCABULARY_SIZE, max_length=8
        ),
        embedding_width=16,
        language_model=LanguageModelConfig(
            num_layers=num_layers,
            width=24,
            num_heads=2,
            head_dim=12,
            vocabulary_size=VOCABULARY_SIZE,
        ),
        resampler=ResamplerConfig(
            num_layers=2, width=16, num_heads=2, head_dim=8, num_latents=num_latents, num_frames=4
        ),
        cross_attention=CrossAttentionConfig(every=every, num_heads=2, head_dim=12),
    )


def open_gates(params: build.Params) -> build.Params:
    """Parameters with every tanh gate opened, so that the added layers matter."""
    leaves = flatten(params)
    return unflatten(
        {path: leaf + 0.7 if path.endswith("gate") else leaf for path, leaf in leaves.items()}
    )


def parameters(init: Callable[[jax.Array], build.Params], seed: int = 0) -> build.Params:
    """Random parameters of the shapes of `init`, without compiling it; gates are closed."""
    random = np.random.default_rng(seed)
    leaves = {}
    for path, leaf in flatten(jax.eval_shape(init, key())).items():
        value = random.normal(0.0, max(leaf.shape, default=1) ** -0.5, leaf.shape)
        if path.endswith("gate"):
            value = np.zeros(leaf.shape)
        elif path.endswith("scale"):
            value = np.ones(leaf.shape)
        leaves[path] = jax.numpy.asarray(value, leaf.dtype)
    return unflatten(leaves)


def example(
    config: ModelConfig, batch_size: int = 2, num_media: int = 3, length: int = 11, seed: int = 0
) -> tuple[jax.Array, np.ndarray, np.ndarray]:
    """latents float32 [B, I, R, D], text int32 [B, T], media_index int32 [B, T]."""
    assert config.resampler is not None
    random = np.random.default_rng(seed)
    shape = (batch_size, num_media, config.resampler.num_latents, config.resampler.width)
    latents_BIRD = jax.numpy.asarray(random.normal(size=shape), "float32")
    text_BT = random.integers(4, VOCABULARY_SIZE, (batch_size, length)).astype(np.int32)
    index_BT = np.arange(length) * (num_media + 1) // length
    return latents_BIRD, text_BT, np.broadcast_to(index_BT, text_BT.shape).astype(np.int32)


def next_place(num_rows: int, step: int, num_slots: int) -> AnswerPlace:
    """Where token `step` of one answer to every prompt stands."""
    distance = step - np.arange(num_slots)
    return AnswerPlace(
        depth=jax.numpy.full((num_rows, 1), step),
        distance=jax.numpy.asarray(np.tile(distance, (num_rows, 1, 1))),
        slot=jax.numpy.int32(step),
    )


def key(seed: int = 0) -> jax.Array:
    """A random key."""
    return jax.random.key(seed)
