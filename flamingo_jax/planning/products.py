"""Every matrix product and convolution of a training step, and which gradients each one needs.

A product c = a b costs one multiply-add for each term. Its backward pass costs as much again for
each factor that needs a gradient: da = dc b^T, db = a^T dc. A weight that is frozen needs none, and
neither does an activation in front of which nothing is trained. So a product runs forward and 0, 1
or 2 times backward, and that is all that the FLOPs of a model with frozen parts need to know.

What is counted, and what is not:

- Causal self-attention: the T(T+1)/2 pairs of a query and a key that it may see, half of the square
  that the program computes. Rows of several documents count as one: where the borders lie is not
  known before the data.
- Cross-attention: the R latents of the one picture that phi names. With
  `attend_to = "all_previous_images"`, (I+1)/2 pictures: the average over text that is spread evenly
  over the I pictures of a page. Text without pictures (I = 0) has no cross-attention, and the
  feed-forward blocks of its layers all the same.
- The projection of relative positions does not depend on the example: it runs once for each
  microbatch.
- Everything is counted at the padded sizes of the config (I pictures, T tokens), and all T tokens
  get logits.
- Looking up a row of an embedding, norms, activations, softmax, the loss and the optimizer: 0.
- What is computed twice to save memory (rematerialization, the contrastive stage's second pass over
  microbatches): 0.

Shape letters: I images, F frames, P positions, R latents, T text, D width, V vocabulary.
"""

from __future__ import annotations

import dataclasses

from flamingo_jax.config import (
    CrossAttentionConfig,
    DatasetConfig,
    LanguageModelConfig,
    ResamplerConfig,
    RunConfig,
    TextTowerConfig,
    VisionConfig,
)
from flamingo_jax.models.layers.feed_forward import WIDENING
from flamingo_jax.models.variants import NFNetVariant, vision_variant
from flamingo_jax.models.vision.encoder import multiply_adds

LANGUAGE_MODEL = "language_model"
VISION_ENCODER = "vision_encoder"
CROSS_ATTENTION = "cross_attention"
RESAMPLER = "resampler"
EXTRA_EMBEDDINGS = "extra_embeddings"
TEXT_TOWER = "text_tower"
TWO_TOWER = "two_tower"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Product:
    """One kind of product, summed over the layers that have it.

    Attributes:
      component: part of the model, as in `components.COMPONENTS`.
      multiply_adds: of the forward pass, of one example (of one microbatch with `once`).
      gradients: factors that need a gradient, 0 to 2.
      trained: whether the part of the model that it belongs to is trained.
      once: runs once for each microbatch, whatever the number of its examples.
    """

    component: str
    multiply_adds: int
    gradients: int
    trained: bool
    once: bool = False


def step_products(config: RunConfig, dataset: DatasetConfig) -> list[Product]:
    """The products of one example of a dataset in the step of the config's stage.

    Args:
      config: resolved; has the parts of the model that its stage needs.
      dataset: one of `config.data`.

    Returns:
      The products in the order of the forward pass.
    """
    if config.stage == "contrastive":
        return _contrastive(config, dataset)
    if config.stage == "language_model":
        language_model = config.model.language_model
        assert language_model is not None
        return _language_model(language_model, dataset.max_text_length, trained=True)
    return _flamingo(config, dataset)


def _flamingo(config: RunConfig, dataset: DatasetConfig) -> list[Product]:
    """Vision encoder, resampler, decoder; what is frozen is what `config.unfrozen` leaves."""
    model = config.model
    vision, language_model = model.vision_encoder, model.language_model
    resampler, cross_attention = model.resampler, model.cross_attention
    assert vision and language_model and resampler and cross_attention
    I, F, T = dataset.max_images, dataset.num_frames, dataset.max_text_length
    trains_vision = bool(config.unfrozen.vision_encoder)
    return [
        *_vision_encoder(vision, num_images=I * F, trained=trains_vision),
        *_resampler(resampler, vision, num_media=I, num_frames=F, trains_features=trains_vision),
        *_cross_attention(cross_attention, language_model, resampler, num_media=I, num_tokens=T),
        *_language_model(language_model, T, trained=bool(config.unfrozen.language_model)),
        # The row of <EOC> in the output embedding is trained and so is what it multiplies.
        Product(
            component=EXTRA_EMBEDDINGS,
            multiply_adds=T * language_model.width,
            gradients=2,
            trained=True,
        ),
    ]


def _contrastive(config: RunConfig, dataset: DatasetConfig) -> list[Product]:
    """Both towers, the projections into the joint space, and the products of all pairs."""
    vision, text_tower = config.model.vision_encoder, config.model.text_tower
    assert vision is not None and text_tower is not None
    features_width = vision_variant(vision.variant).output_width
    projections = (features_width + text_tower.width) * config.model.embedding_width
    # Every example meets the whole batch of its dataset.
    pairs = dataset.batch_size * config.model.embedding_width
    return [
        *_vision_encoder(vision, num_images=1, trained=True),
        *_text_tower(text_tower, dataset.max_text_length),
        Product(
            component=TWO_TOWER, multiply_adds=projections + pairs, gradients=2, trained=True
        ),
    ]


def _vision_encoder(vision: VisionConfig, *, num_images: int, trained: bool) -> list[Product]:
    """Convolutions or blocks of `num_images` pictures; pixels never need a gradient."""
    variant = vision_variant(vision.variant)
    total = num_images * multiply_adds(variant, vision.image_size)
    if isinstance(variant, NFNetVariant):
        stem_grid = -(-vision.image_size // variant.stem_strides[0])
        first = num_images * stem_grid**2 * 3 * 3 * 3 * variant.stem_channels[0]
    else:
        positions = variant.grid_size(vision.image_size) ** 2
        first = num_images * positions * 3 * variant.patch_size**2 * variant.width
    return [
        Product(
            component=VISION_ENCODER, multiply_adds=macs, gradients=gradients, trained=trained
        )
        for macs, gradients in ((first, int(trained)), (total - first, 2 * trained))
    ]


def _resampler(
    config: ResamplerConfig,
    vision: VisionConfig,
    *,
    num_media: int,
    num_frames: int,
    trains_features: bool,
) -> list[Product]:
    """The features' projection, which frozen features stop the gradient at, and the layers."""
    variant = vision_variant(vision.variant)
    P = variant.grid_size(vision.image_size) ** 2
    S, R, width = num_frames * P, config.num_latents, config.width
    projection = S * variant.output_width * width
    heads = config.num_heads * config.head_dim
    if config.kind == "mlp":
        hidden = config.mlp_width
        layers = P * width * hidden + (config.num_layers - 2) * hidden**2 + hidden * R * width
        layers *= num_frames
    elif config.kind == "transformer":
        tokens = S + R
        attention = 4 * tokens * width * heads + 2 * tokens**2 * heads
        layers = config.num_layers * (attention + 2 * WIDENING * tokens * width**2)
    else:
        attention = 2 * R * width * heads + 2 * (S + R) * width * heads + 2 * R * (S + R) * heads
        layers = config.num_layers * (attention + 2 * WIDENING * R * width**2)
    return [
        Product(
            component=RESAMPLER,
            multiply_adds=num_media * macs,
            gradients=gradients,
            trained=True,
        )
        for macs, gradients in ((projection, 1 + trains_features), (layers, 2))
    ]


def num_cross_attention_layers(config: CrossAttentionConfig, num_blocks: int) -> int:
    """Cross-attention layers of a decoder with `num_blocks` blocks of the language model."""
    if config.conditioning == "grafting":
        return config.num_grafted
    return 1 if config.placement == "middle" else -(-num_blocks // config.every)


def _cross_attention(
    config: CrossAttentionConfig,
    language_model: LanguageModelConfig,
    resampler: ResamplerConfig,
    *,
    num_media: int,
    num_tokens: int,
) -> list[Product]:
    """The projection of the latents, the layers, and the blocks that grafting adds."""
    T, R, D = num_tokens, resampler.num_latents, language_model.width
    M = num_media * R
    heads = config.num_heads * config.head_dim
    seen = T * R
    if config.attend_to == "all_previous_images":
        seen = T * R * (num_media + 1) // 2
    layer = 2 * T * D * heads + 2 * M * D * heads + 2 * seen * heads if num_media else 0
    if config.conditioning != "vanilla_xattn":
        layer += 2 * WIDENING * T * D**2
    layers = num_cross_attention_layers(config, language_model.num_layers)
    projection = M * resampler.width * D
    products = [
        Product(
            component=CROSS_ATTENTION,
            multiply_adds=projection + layers * layer,
            gradients=2,
            trained=True,
        )
    ]
    grafted = dataclasses.replace(language_model, num_layers=config.num_grafted)
    return products + _blocks(grafted, T, component=CROSS_ATTENTION, trained=True)


def _language_model(
    config: LanguageModelConfig, num_tokens: int, *, trained: bool
) -> list[Product]:
    """All blocks and the output embedding.

    A frozen block still hands the gradient on: to the layers before it, and in front of the first
    of these to the row of <EOC> in the input embedding.
    """
    logits = Product(
        component=LANGUAGE_MODEL,
        multiply_adds=num_tokens * config.width * config.vocabulary_size,
        gradients=1 + trained,
        trained=trained,
    )
    return [*_blocks(config, num_tokens, component=LANGUAGE_MODEL, trained=trained), logits]


def _blocks(
    config: LanguageModelConfig, num_tokens: int, *, component: str, trained: bool
) -> list[Product]:
    """`config.num_layers` blocks, the activations in front of which need a gradient."""
    T, D, heads = num_tokens, config.width, config.num_heads * config.head_dim
    pairs = T * (T + 1) // 2
    weights = 4 * T * D * heads + 2 * WIDENING * T * D**2
    return [
        Product(
            component=component,
            multiply_adds=config.num_layers * macs,
            gradients=gradients,
            trained=trained,
            once=once,
        )
        for macs, gradients, once in (
            (weights, 1 + trained, False),
            (2 * pairs * heads, 2, False),  # queries by keys, probabilities by values
            (pairs * heads, 1 + trained, False),  # queries by positions, which a weight makes
            (T * D * heads, int(trained), True),  # positions: sinusoids need no gradient
        )
    ]


def _text_tower(config: TextTowerConfig, num_tokens: int) -> list[Product]:
    """BERT: every token attends to all T."""
    T, D = num_tokens, config.width
    layer = 4 * T * D**2 + 2 * T**2 * D + 2 * WIDENING * T * D**2
    macs = config.num_layers * layer
    return [Product(component=TEXT_TOWER, multiply_adds=macs, gradients=2, trained=True)]
