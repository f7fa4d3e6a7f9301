"""The sizes of the models: that part of a run's configuration that says which networks it has.

`config.py` takes it into `RunConfig`, and hands these names on to all others.
"""

from __future__ import annotations

import dataclasses
import math

from flamingo_jax.config_fields import check, check_choice, replace

DTYPES = ("float32", "bfloat16")
INITIALIZATIONS = ("standard", "induction")
RESAMPLERS = ("perceiver", "mlp", "transformer")
CONDITIONINGS = ("gated_xattn_dense", "vanilla_xattn", "grafting")
PLACEMENTS = ("every", "middle")
ATTENDED = ("last_image", "all_previous_images")
REMAT_POLICIES = ("none", "dots", "layer", "group")


@dataclasses.dataclass(frozen=True, kw_only=True)
class VisionConfig:
    """The vision encoder.

    Attributes:
      variant: a published or tiny one of `models/variants.py`.
      image_size: side of its input in pixels.
      images_at_once: pictures that a device encodes at a time while the encoder is frozen, to save
        memory; 0: all of a step's.
    """

    variant: str
    image_size: int
    images_at_once: int = 0


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
    """What turns the features of a picture or clip into `num_latents` visual tokens.

    Attributes:
      num_frames: time embeddings; 0 means the longest clip of data.
      kind: "perceiver", or the paper's ablations "mlp" and "transformer".
      mlp_width: hidden width of the MLP's layers; the other kinds do not read it.
    """

    num_layers: int
    width: int
    num_heads: int
    num_latents: int
    head_dim: int = 0
    num_frames: int = 0
    kind: str = "perceiver"
    mlp_width: int = 0

    def __post_init__(self) -> None:
        check_choice("model.resampler.kind", self.kind, RESAMPLERS)
        check(
            (self.kind == "mlp") == (self.mlp_width > 0),
            "model.resampler.mlp_width",
            self.mlp_width,
            'at least 1 with kind "mlp", and 0 with the others',
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrossAttentionConfig:
    """How the language model is made to look at pictures; 0 heads or head_dim: the LM's own.

    Attributes:
      every: a layer stands before the first of every `every` blocks of the language model.
      conditioning: "gated_xattn_dense"; or the ablations "vanilla_xattn" (no feed-forward block)
        and "grafting" (nothing inserted: a stack of new self- and cross-attention layers takes
        what the language model gives).
      placement: "every", or "middle": one single layer before the middle block.
      attend_to: "last_image" (the picture phi), or "all_previous_images" (pictures 1 to phi).
      tanh_gate: whether the layers are scaled by tanh gates that start at 0.
      num_grafted: pairs of a self- and a cross-attention layer that grafting adds.
    """

    every: int = 1
    num_heads: int = 0
    head_dim: int = 0
    conditioning: str = "gated_xattn_dense"
    placement: str = "every"
    attend_to: str = "last_image"
    tanh_gate: bool = True
    num_grafted: int = 0

    def __post_init__(self) -> None:
        field = "model.cross_attention"
        check(self.every >= 1, f"{field}.every", self.every, "at least 1")
        check_choice(f"{field}.conditioning", self.conditioning, CONDITIONINGS)
        check_choice(f"{field}.placement", self.placement, PLACEMENTS)
        check_choice(f"{field}.attend_to", self.attend_to, ATTENDED)
        check(
            (self.conditioning == "grafting") == (self.num_grafted > 0),
            f"{field}.num_grafted",
            self.num_grafted,
            'at least 1 with conditioning "grafting", and 0 with the others',
        )


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
      remat: what the backward pass computes anew instead of keeping it: "none"; "dots", all but
        the matrix products; "layer", all but the input of every layer; "group", all but the input
        of every group of a cross-attention layer and its blocks.
      layers_apart: whether the Flamingo stage trains with arrays of their own for every layer, in
        place of loops over stacks of them; on one device. On CPU a shallow model's step is a sixth
        faster for it and needs less memory; the time of compilation then grows with the depth.
        Checkpoints are the same.
    """

    vision_encoder: VisionConfig | None = None
    text_tower: TextTowerConfig | None = None
    embedding_width: int = 0
    language_model: LanguageModelConfig | None = None
    resampler: ResamplerConfig | None = None
    cross_attention: CrossAttentionConfig | None = None
    precision: PrecisionConfig = PrecisionConfig()
    remat: str = "none"
    layers_apart: bool = False

    def __post_init__(self) -> None:
        check_choice("model.remat", self.remat, REMAT_POLICIES)


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
