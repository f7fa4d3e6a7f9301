"""Tiny models for tests: every part real, every size small."""

from __future__ import annotations

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


def example(
    batch_size: int = 2, num_media: int = 3, length: int = 11, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """media uint8 [B, I, 1, H, W, 3], text int32 [B, T], media_index int32 [B, T]."""
    random = np.random.default_rng(seed)
    shape = (batch_size, num_media, 1, IMAGE_SIZE, IMAGE_SIZE, 3)
    media_BIFHWC = random.integers(0, 256, shape).astype(np.uint8)
    text_BT = random.integers(4, VOCABULARY_SIZE, (batch_size, length)).astype(np.int32)
    index_BT = np.arange(length) * (num_media + 1) // length
    return media_BIFHWC, text_BT, np.broadcast_to(index_BT, text_BT.shape).astype(np.int32)


def key(seed: int = 0) -> jax.Array:
    """A random key."""
    return jax.random.key(seed)
