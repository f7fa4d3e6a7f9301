"""Our training step as a competitor: `python -m benchmarks.ours SIZE THREADS`.

The step is the library's own (`training.steps.flamingo`, `training.optimizer`); random features
take the place of the vision encoder's, as in the peers.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import live_process, sizes
from benchmarks.sizes import Size
from flamingo_jax.config import (
    CrossAttentionConfig,
    DatasetConfig,
    LanguageModelConfig,
    ModelConfig,
    OptimizerConfig,
    ResamplerConfig,
    VisionConfig,
)
from flamingo_jax.core.host_memory import (
    compute_in_calling_thread,
    give_back_freed_memory,
    keep_freed_memory,
)
from flamingo_jax.core.paths import Params, flatten, partition, unflatten
from flamingo_jax.data import schema
from flamingo_jax.models import build
from flamingo_jax.training.optimizer import make_optimizer
from flamingo_jax.training.state import TrainState, map_parameters, start_state
from flamingo_jax.training.steps import flamingo

DATASET = "pages"
INPUT_PROJECTION = "resampler/input_projection/w"


def model_config(size: Size) -> ModelConfig:
    """The model of a size. Its vision encoder is never run: features come in its place."""
    return ModelConfig(
        vision_encoder=VisionConfig(variant="nfnet_tiny", image_size=32),
        language_model=LanguageModelConfig(
            num_layers=size.layers,
            width=size.width,
            num_heads=size.language_model_heads,
            head_dim=size.head_dim,
            vocabulary_size=size.vocabulary,
        ),
        resampler=ResamplerConfig(
            num_layers=size.resampler_layers,
            width=size.vision_width,
            num_heads=size.heads,
            head_dim=size.head_dim,
            num_latents=size.latents,
            num_frames=1,
        ),
        cross_attention=CrossAttentionConfig(
            every=size.every, num_heads=size.cross_attention_heads, head_dim=size.head_dim
        ),
    )


def is_frozen(path: str) -> bool:
    """Whether a parameter is part of the language model (see `training.stages`)."""
    return "language_model" in path.split("/")


def parameters(size: Size) -> Params:
    """Random parameters, made one by one so that no more than the model is ever in memory."""
    init = build.build_flamingo(model_config(size)).init
    shapes = {
        path: leaf.shape
        for path, leaf in flatten(jax.eval_shape(init, jax.random.key(0))).items()
        if not path.startswith("vision_encoder/")
    }
    shapes[INPUT_PROJECTION] = (size.vision_width, size.vision_width)
    random = np.random.default_rng(sizes.SEED)

    def leaf(path: str, shape: tuple[int, ...]) -> jax.Array:
        if path.endswith("gate"):
            return jnp.zeros(shape)
        if path.endswith("scale"):
            return jnp.ones(shape)
        return jnp.asarray(0.02 * random.standard_normal(shape, np.float32))

    return unflatten({path: leaf(path, shape) for path, shape in shapes.items()})


def batch(size: Size) -> dict[str, jax.Array]:
    """One batch; `media` holds float32 features in the rank of pictures, [B, I, 1, P, 1, width]."""
    random = np.random.default_rng(sizes.SEED)
    features = (size.batch, size.images, 1, size.features, 1, size.vision_width)
    text = (size.batch, size.length)
    return {
        schema.MEDIA: jnp.asarray(random.standard_normal(features, np.float32)),
        schema.TEXT: jnp.asarray(random.integers(0, size.vocabulary, text), jnp.int32),
        schema.MEDIA_INDEX: jnp.broadcast_to(jnp.asarray(size.picture_of_token(), jnp.int32), text),
        schema.LOSS_WEIGHT: jnp.ones(text, jnp.float32),
    }


def jitted_step(
    size: Size,
) -> tuple[Any, TrainState, dict[str, dict[str, jax.Array]]]:
    """The jitted step, the state before it, and its batches by dataset."""
    functions = dataclasses.replace(
        build.build_flamingo(model_config(size)),
        encode_features=lambda _, media: media.reshape(*media.shape[:4], media.shape[-1]),
    )
    # The gradient is clipped as the paper does it. No peer clips; but without it the step is slower
    # here: XLA then copies parameters, not knowing that nobody reads them after their update.
    optimizer = make_optimizer(
        OptimizerConfig(
            learning_rate=sizes.LEARNING_RATE,
            weight_decay=sizes.WEIGHT_DECAY,
            clip_global_norm=1.0,
        ),
        steps=1,
        path_together=functions.stacks.path_together,
    )
    dataset = DatasetConfig(
        name=DATASET,
        source="world/pages",
        batch_size=size.batch,
        loss_weight=1.0,
        max_text_length=size.length,
        max_images=size.images,
    )
    step = flamingo.make_step(functions, optimizer, (dataset,))
    trainable, frozen = partition(parameters(size), lambda path: not is_frozen(path))
    state = start_state(trainable, frozen, optimizer, jax.random.key(sizes.SEED))
    # As `model.layers_apart` in a run.
    take_apart = functools.partial(functions.stacks.take_apart, copy=True)
    state = map_parameters(take_apart, state)
    return jax.jit(step, donate_argnums=0), state, {DATASET: batch(size)}


def make_step(size: Size) -> tuple[Callable[[], float], dict[str, int]]:
    """A function that takes one step and returns the loss, and the counts of parameters."""
    jitted, state, batches = jitted_step(size)
    run = jitted.lower(state, batches).compile()
    give_back_freed_memory()  # As `training.loop` does, and the next line.
    keep_freed_memory()
    counts = {"trainable": _count(state.trainable), "frozen": _count(state.frozen)}

    def step() -> float:
        nonlocal state
        state, metrics = run(state, batches)
        jax.block_until_ready(state)
        return float(metrics["loss/total"])

    return step, counts


def multiply(rows: int, inner: int, columns: int) -> Callable[[], None]:
    """A function that multiplies two float32 matrices."""
    left, right = jnp.ones((rows, inner)), jnp.ones((inner, columns))
    product = jax.jit(jnp.matmul)

    def run() -> None:
        product(left, right).block_until_ready()

    return run


def _count(params: Params) -> int:
    return sum(leaf.size for leaf in flatten(params).values())


def main() -> None:
    """Serves the steps of one size."""
    size, _ = live_process.arguments(__doc__)
    compute_in_calling_thread()  # As `train.main` does.
    step, counts = make_step(size)
    live_process.serve(step, multiply, counts)


if __name__ == "__main__":
    main()
