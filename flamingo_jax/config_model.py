"""The sizes of the models: that part of a run's configuration that says which networks it has.

`config.py` takes it into `RunConfig`, and hands these names on to all others.
"""

from __future__ import annotations

import dataclasses
import math

from flamingo_jax.config_fields import check, check_choice, replace

DTYPES = ("float32", "bfloat16")
INITIALIZATIONS = ("standard", "induction")


@dataclasses.dataclass(frozen=True, kw_only=True)
class VisionConfig:
    """The NFNet: a published or tiny `variant` of `models/variants.py`, and its input's side."""

    variant: str
    image_size: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTowerConfig:
    """The BERT text tower of the contrastive stage; `vocabulary_size` counts all token ids."""

    num_layers: int
    width: int
    num_heads: int
    vocabulary_size: int
    max_length: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageModelConfig:
    """The Chinchilla language model; `head_dim` 0 means width / num_heads.

    Attributes:
      shortest_period: of the sinusoids of relative positions, in tokens (Transformer-XL: 2 pi).
      longest_period: likewise (Transformer-XL: 2 pi * 10,000).
      initialization: "standard", or "induction" (see models/induction_initialization.py).
    """

    num_layers: int
    width: int
    num_heads: int
    vocabulary_size: int
    head_dim: int = 0
    shortest_period: float = 2 * math.pi
    longest_period: float = 2 * math.pi * 10_000
    initialization: str = "standard"

    def __post_init__(self) -> None:
        check_choice(
            "model.language_model.initialization", self.initialization, INITIALIZATIONS
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResamplerConfig:
    """The Perceiver Resampler; `num_frames` (time embeddings) 0 means the longest clip of data."""

    num_layers: int
    width: int
    num_heads: int
    num_latents: int
    head_dim: int = 0
    num_frames: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossAttentionConfig:
    """GATED XATTN-DENSE before every `every`-th layer; 0 heads or head_dim: the LM's own."""

    every: int
    num_heads: int = 0
    head_dim: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrecisionConfig:
    """dtypes ("float32", "bfloat16") of activations (`compute`) and of stored frozen weights."""

    compute: str = "float32"
    frozen: str = "float32"

    def __post_init__(self) -> None:
        check_choice("model.precision.compute", self.compute, DTYPES)
        check_choice("model.precision.frozen", self.frozen, DTYPES)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Sizes of the parts; a stage uses the parts that it needs, the others may be None.

    Attributes:
      embedding_width: width of the two towers' joint space; 0 outside the contrastive stage.
    """

    vision_encoder: VisionConfig | None = None
    text_tower: TextTowerConfig | None = None
    embedding_width: int = 0
    language_model: LanguageModelConfig | None = None
    resampler: ResamplerConfig | None = None
    cross_attention: CrossAttentionConfig | None = None
    precision: PrecisionConfig = PrecisionConfig()


def derive_sizes(model: ModelConfig, longest_clip: int) -> ModelConfig:
    """Fills the sizes that follow from others, where the config file left them 0.

    Args:
      model: as the config file has it.
      longest_clip: frames of the longest clips in the run's data.

    Raises:
      UserError: heads that do not divide a width, or clips longer than `resampler.num_frames`.
    """
    language_model, resampler = model.language_model, model.resampler
    cross_attention = model.cross_attention
    if language_model is not None:
        language_model = replace(language_model, head_dim=_head_dim("language_model", model))
    if resampler is not None:
        resampler = replace(
            resampler,
            head_dim=_head_dim("resampler", model),
            num_frames=resampler.num_frames or longest_clip,
        )
        check(
            resampler.num_frames >= longest_clip,
            "model.resampler.num_frames",
            resampler.num_frames,
            f"at least {longest_clip}, the frames of the longest clips in data",
        )
    if cross_attention is not None and language_model is not None:
        cross_attention = replace(
            cross_attention,
            num_heads=cross_attention.num_heads or language_model.num_heads,
            head_dim=cross_attention.head_dim or language_model.head_dim,
        )
    return replace(
        model,
        language_model=language_model,
        resampler=resampler,
        cross_attention=cross_attention,
    )


def _head_dim(part: str, model: ModelConfig) -> int:
    """The part's width of one attention head: as given, else width / num_heads."""
    sizes = getattr(model, part)
    check(sizes.num_heads >= 1, f"model.{part}.num_heads", sizes.num_heads, "at least 1")
    if sizes.head_dim:
        return sizes.head_dim
    divisible = sizes.width % sizes.num_heads == 0
    check(divisible, f"model.{part}.num_heads", sizes.num_heads, f"a divisor of {sizes.width}")
    return sizes.width // sizes.num_heads
