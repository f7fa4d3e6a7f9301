"""The resampler that a config names."""

from __future__ import annotations

from typing import Protocol

import jax

from flamingo_jax.config import ResamplerConfig
from flamingo_jax.models.resampler import PerceiverResampler
from flamingo_jax.models.resampler_alternatives import MlpResampler, TransformerResampler


class Resampler(Protocol):
    """What all resamplers are to their callers."""

    def __call__(self, features_BFPC: jax.Array) -> jax.Array:
        """Features [B, F, P, C] -> latents [B, R, width] in the same dtype."""
        ...


def make_resampler(
    config: ResamplerConfig, name: str = "resampler", *, apart: bool = False
) -> Resampler:
    """Makes the Haiku module of `config.kind`, inside the function that `hk.transform` gets.

    `apart` is whether the Perceiver's layers are apart; the ablations' resamplers are loops.
    """
    if config.kind == "perceiver":
        return PerceiverResampler(config, name=name, apart=apart)
    kinds: dict[str, type[TransformerResampler | MlpResampler]] = {
        "transformer": TransformerResampler,
        "mlp": MlpResampler,
    }
    return kinds[config.kind](config, name=name)
