"""The FLOPs formulas against products counted in traced programs, and against published numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from configs import quickstart
from flamingo_jax.config import (
    CrossAttentionConfig,
    DatasetConfig,
    LanguageModelConfig,
    ResamplerConfig,
    RunConfig,
    UnfrozenConfig,
    VisionConfig,
    resolve,
)
from flamingo_jax.core.paths import flatten, merge, partition
from flamingo_jax.models import build
from flamingo_jax.models.variants import vision_variant
from flamingo_jax.models.vision.encoder import multiply_adds
from flamingo_jax.planning.components import component_of
from flamingo_jax.planning.flops import SplitFlops, step_flops
from flamingo_jax.planning.products import step_products
from flamingo_jax.training.stages import make_stage
from tests.models import tiny
from tests.planning.counted import product_flops

B = 2
DATASET = DatasetConfig(name="one", source="world/pages", batch_size=B, loss_weight=1.0,
                        max_text_length=1)  # fmt: skip


def make_config(
    stage: str = "flamingo",
    dataset: DatasetConfig = DATASET,
    unfrozen: UnfrozenConfig | None = None,
    **parts: Any,
) -> RunConfig:
    """A tiny run of one dataset; `parts` replace parts of the tiny model."""
    config = resolve(quickstart.get_config(stage))
    return dataclasses.replace(
        config,
        data=(dataset,),
        model=dataclasses.replace(tiny.model_config(), **parts),
        unfrozen=unfrozen or UnfrozenConfig(),
    )


def without(flops: Mapping[str, SplitFlops], *components: str) -> SplitFlops:
    rest = [split for name, split in flops.items() if name not in components]
    return SplitFlops(
        frozen_forward=sum(split.frozen_forward for split in rest),
        frozen_backward=sum(split.frozen_backward for split in rest),
        trained=sum(split.trained for split in rest),
    )


def counted_of_flamingo(config: RunConfig, dataset: DatasetConfig) -> tuple[int, int]:
    """Products of the step behind the features of frozen pictures: (forward, forward + backward).

    One token and one picture: then no pair of a query and a key is masked.
    """
    functions = build.build_flamingo(config.model)
    stage = make_stage(config, "")
    params = jax.eval_shape(stage.init, jax.random.key(0))
    trainable, frozen = partition(params, stage.is_trainable)
    assert config.model.vision_encoder is not None
    variant = vision_variant(config.model.vision_encoder.variant)
    P = variant.grid_size(config.model.vision_encoder.image_size) ** 2
    shape = (B, 1, dataset.num_frames, P, variant.output_width)
    text_BT = jnp.zeros((B, 1), jnp.int32)

    def loss(trainable: Any, frozen: Any, features: jax.Array) -> jax.Array:
        params = merge(trainable, frozen)
        latents = functions.resample(params, features)
        return jnp.sum(jnp.square(functions.forward(params, text_BT, text_BT, latents)))

    arguments = (trainable, frozen, jax.ShapeDtypeStruct(shape, jnp.float32))
    return product_flops(loss, *arguments), product_flops(jax.grad(loss), *arguments)


def attention(**fields: Any) -> CrossAttentionConfig:
    return CrossAttentionConfig(num_heads=2, head_dim=12, **fields)


FLAMINGOS = {
    "every_block": {"cross_attention": attention(every=1)},
    "every_third_block": {"cross_attention": attention(every=3)},
    "vanilla": {"cross_attention": attention(every=2, conditioning="vanilla_xattn")},
    "single_in_the_middle": {"cross_attention": attention(placement="middle")},
    "grafting": {"cross_attention": attention(conditioning="grafting", num_grafted=2)},
    "unfrozen": {"unfrozen": UnfrozenConfig(language_model="random")},
    "mlp": {
        "resampler": ResamplerConfig(
            kind="mlp", mlp_width=20, num_layers=4, width=16, num_heads=2, head_dim=8,
            num_latents=3, num_frames=4,
        )
    },
    "transformer": {
        "resampler": ResamplerConfig(
            kind="transformer", num_layers=2, width=16, num_heads=2, head_dim=8, num_latents=3,
            num_frames=4,
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("changes", FLAMINGOS.values(), ids=FLAMINGOS.keys())
def test_a_flamingo_step_has_the_products_of_the_traced_gradient(changes: dict[str, Any]) -> None:
    """All frozen blocks hand the gradient on: before the first layer there is <EOC>, learned."""
    dataset = dataclasses.replace(DATASET, num_frames=3)
    config = make_config(dataset=dataset, **changes)
    flops = without(step_flops(config).per_step_of_component, "vision_encoder")
    forward, both = counted_of_flamingo(config, dataset)
    assert flops.total == both
    products = [p for p in step_products(config, dataset) if p.component != "vision_encoder"]
    assert forward == sum(2 * p.multiply_adds * (1 if p.once else B) for p in products)


@pytest.mark.parametrize("way", ["every_block", "vanilla", "grafting", "unfrozen"])
def test_text_alone_has_the_products_of_the_traced_gradient(way: str) -> None:
    dataset = dataclasses.replace(DATASET, max_images=0)
    config = make_config(dataset=dataset, **FLAMINGOS[way])
    functions = build.build_flamingo(config.model)
    stage = make_stage(config, "")
    params = jax.eval_shape(stage.init, jax.random.key(0))
    trainable, frozen = partition(params, stage.is_trainable)

    def loss(trainable: Any, frozen: Any) -> jax.Array:
        params = merge(trainable, frozen)
        x_BTD, rows = functions.text_activations(params, jnp.zeros((B, 1), jnp.int32))
        return sum(jnp.sum(jnp.square(jnp.einsum("btd,vd->btv", x_BTD, e))) for e in rows)

    flops = step_flops(config).per_step_of_component
    assert without(flops).total == product_flops(jax.grad(loss), trainable, frozen)
    assert flops["vision_encoder"].total == flops["resampler"].total == 0
    assert (flops["cross_attention"].total == 0) is (way == "vanilla")


def test_a_frozen_language_model_runs_forward_as_it_does_alone() -> None:
    config = make_config()
    functions = build.build_language_model(config.model)
    params = jax.eval_shape(functions.init, jax.random.key(0))
    alone = product_flops(lambda p: functions.forward(p, jnp.zeros((B, 1), jnp.int32)), params)
    flops = step_flops(config).per_step_of_component
    assert flops["language_model"].frozen_forward == alone
    assert flops["language_model"].trained == 0
    # The products of two activations need both gradients, the sinusoids' projection none: at one
    # token and 24 wide, 2 * 24 more for each of B examples and 24 * 24 less, in each of 4 layers.
    more = 2 * 4 * (B * 2 * 24 - 24 * 24)
    assert flops["language_model"].frozen_backward == alone + more


def test_a_language_model_step_has_the_products_of_the_traced_gradient() -> None:
    config = make_config("language_model")
    functions = build.build_language_model(config.model)
    params = jax.eval_shape(functions.init, jax.random.key(0))

    def loss(params: Any) -> jax.Array:
        return jnp.sum(jnp.square(functions.forward(params, jnp.zeros((B, 1), jnp.int32))))

    flops = step_flops(config).per_step
    assert flops == SplitFlops(
        frozen_forward=0, frozen_backward=0, trained=product_flops(jax.grad(loss), params)
    )


def test_a_contrastive_step_has_the_products_of_the_traced_gradient() -> None:
    """With CLIP's image tower, whose first layer is a product too and has no input gradient."""
    T = 5
    vision = VisionConfig(variant="clip_vit_tiny", image_size=32)
    dataset = dataclasses.replace(DATASET, max_text_length=T)
    config = make_config("contrastive", dataset, vision_encoder=vision)
    functions = build.build_two_tower(config.model)
    params = jax.eval_shape(functions.init, jax.random.key(0))
    images = jax.ShapeDtypeStruct((B, 32, 32, 3), jnp.uint8)

    def loss(params: Any, images: jax.Array) -> jax.Array:
        image_BE, text_BE, _ = functions.forward(params, images, jnp.ones((B, T), jnp.int32))
        return jnp.sum(jnp.square(image_BE @ text_BE.T))

    flops = step_flops(config).per_step
    assert flops.frozen_forward == flops.frozen_backward == 0
    assert flops.trained == product_flops(jax.grad(loss), params, images)


def test_a_frozen_vision_encoder_runs_forward_for_every_frame_and_no_more() -> None:
    dataset = dataclasses.replace(DATASET, max_images=2, num_frames=3)
    flops = step_flops(make_config(dataset=dataset)).per_step_of_component["vision_encoder"]
    macs = multiply_adds(vision_variant("nfnet_tiny"), tiny.IMAGE_SIZE)
    assert flops == SplitFlops(frozen_forward=B * 6 * 2 * macs, frozen_backward=0, trained=0)
    unfrozen = make_config(dataset=dataset, unfrozen=UnfrozenConfig(vision_encoder="pretrained"))
    trained = step_flops(unfrozen).per_step_of_component["vision_encoder"]
    first = 16**2 * 27 * 16  # 3x3 kernels over 3 colours to 16 channels, stride 2 from 32 pixels
    assert trained.frozen_forward == trained.frozen_backward == 0
    assert trained.trained == B * 6 * 2 * (3 * macs - first)


def test_causal_attention_counts_half_of_the_square() -> None:
    """Second differences in T leave what is quadratic in it: 3 products of T(T+1)/2 pairs."""

    def of_length(T: int) -> SplitFlops:
        dataset = dataclasses.replace(DATASET, max_text_length=T)
        return step_flops(make_config("language_model", dataset)).per_step

    second = [of_length(T).trained for T in (10, 11, 12)]
    layers, heads = 4, 2 * 12
    assert second[2] - 2 * second[1] + second[0] == B * 6 * 3 * layers * heads


def test_a_token_counts_the_latents_of_one_picture_or_of_the_average_number() -> None:
    def of_images(I: int, **fields: Any) -> int:
        dataset = dataclasses.replace(DATASET, max_images=I, max_text_length=7)
        config = make_config(dataset=dataset, cross_attention=attention(**fields))
        return step_flops(config).per_step_of_component["cross_attention"].trained

    layers, latents, heads = 4, 3, 24
    assert of_images(1, attend_to="all_previous_images") == of_images(1)
    more = of_images(5, attend_to="all_previous_images") - of_images(5)
    # (5 + 1) / 2 = 3 pictures and not 1: two more for each of 7 tokens, in two products.
    assert more == 6 * B * layers * 2 * (7 * 2 * latents) * heads


def test_positions_are_projected_once_for_each_microbatch() -> None:
    dataset = dataclasses.replace(DATASET, batch_size=8, max_text_length=6)
    whole = step_flops(make_config("language_model", dataset))
    parts = dataclasses.replace(dataset, microbatches=4)
    split = step_flops(make_config("language_model", parts))
    # Forward and weight gradient; sinusoids need none.
    once = 4 * 4 * 6 * 24 * 24
    assert split.per_step.trained - whole.per_step.trained == 3 * once
    example = split.per_example["one"]
    assert example.total * 8 == pytest.approx(split.per_step.total, abs=8)


def test_datasets_add_up() -> None:
    config = resolve(quickstart.get_config("flamingo"))
    flops = step_flops(config)
    assert list(flops.per_example) == [dataset.name for dataset in config.data]
    total = sum(d.batch_size * flops.per_example[d.name].total for d in config.data)
    assert total == pytest.approx(flops.per_step.total, rel=1e-9)
    assert without(flops.per_step_of_component) == flops.per_step


FLAMINGO_3B: dict[str, Any] = {
    "vision_encoder": VisionConfig(variant="nfnet_f6", image_size=320),
    "language_model": LanguageModelConfig(
        num_layers=24, width=2048, num_heads=16, head_dim=128, vocabulary_size=32_000
    ),
    "resampler": ResamplerConfig(
        num_layers=6, width=1536, num_heads=16, head_dim=128, num_latents=64, num_frames=8
    ),
    "cross_attention": CrossAttentionConfig(num_heads=16, head_dim=128),
}


def test_flamingo_3b_costs_about_two_flops_a_parameter_and_pass() -> None:
    """2N forward, 2N backward through what is frozen, 6N through what is trained.

    N is counted on the real shapes: matrices, without those that run but once for each batch, or on
    latents instead of tokens. What is left to explain is attention itself, 3 % at 256 tokens.
    """
    T = 256
    dataset = dataclasses.replace(DATASET, batch_size=1024, max_text_length=T, max_images=5)
    config = make_config(dataset=dataset, **FLAMINGO_3B)
    params = flatten(jax.eval_shape(make_stage(config, "").init, jax.random.key(0)))
    matrices = {
        path: leaf
        for path, leaf in params.items()
        if path.endswith(("/w", "language_model/embedding")) and "relative_position" not in path
    }
    frozen = sum(
        leaf.size for path, leaf in matrices.items() if component_of(path) == "language_model"
    )
    trained = sum(
        leaf.size
        for path, leaf in matrices.items()
        if component_of(path) == "cross_attention" and not path.endswith(("key/w", "value/w"))
    )
    assert frozen == pytest.approx(1.375e9, rel=0.1)  # the published size, positions included
    flops = step_flops(config)
    language = flops.per_step_of_component["language_model"]
    tokens = 1024 * T
    assert language.frozen_forward == pytest.approx(2 * frozen * tokens, rel=0.04)
    assert language.frozen_backward == pytest.approx(2 * frozen * tokens, rel=0.04)
    assert language.frozen_forward > 2 * frozen * tokens
    of_latents = 5 * 64 / T  # keys and values run over 320 latents, not over 256 tokens
    keys_and_values = 24 * 2 * 2048 * 2048
    expected = 6 * tokens * (trained + of_latents * keys_and_values)
    assert flops.per_step_of_component["cross_attention"].trained == pytest.approx(
        expected, rel=0.04
    )
