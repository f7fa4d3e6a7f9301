"""Flamingo's training step: text given pictures, or alone; what is pretrained is frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import optax

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.paths import Params, flatten, merge, unflatten
from flamingo_jax.data import schema
from flamingo_jax.training import accumulation
from flamingo_jax.training.accumulation import Batch, Metrics, Shard, unsharded
from flamingo_jax.training.losses import next_token_loss_of_activations
from flamingo_jax.training.state import TrainState
from flamingo_jax.training.steps.frozen_features import encode_together

if TYPE_CHECKING:
    from flamingo_jax.models.build import FlamingoFunctions


_VISION_ENCODER = "vision_encoder"
_FEATURES = "features"


def make_step(
    functions: FlamingoFunctions,
    optimizer: optax.GradientTransformation,
    datasets: Sequence[DatasetConfig],
    shard: Shard = unsharded,
    images_at_once: int = 0,
) -> Callable[[TrainState, Mapping[str, Batch]], tuple[TrainState, Metrics]]:
    """Makes the pure step of the Flamingo stage (paper, section 4.1.4).

    Pages, pairs and clips differ in shape alone, so that one loss serves all datasets; each has its
    own batch size and weight lambda. A dataset of text alone (the co-training of the paper's table
    10 (vi)) has no pictures to encode, and its tokens are what those in front of a page's first
    picture are.

    Only the trainable tree is differentiated: nothing flows back into the vision encoder, and
    through the language model only to the layers between its own.

    Parameters are stacked, or have layers apart (`models.layers_apart`).

    Args:
      functions: `encode_features(params, media_BIFHWC) -> features_BIFPD`,
        `resample(params, features_BIFPD) -> latents_BIRD`, both in one as `encode_media`, and
        `activations(params, text_BT, media_index_BT, latents_BIRD) -> (x_BTD, embeddings)`, and
        the same of text alone as `text_activations(params, text_BT, segment_BT or None)`.
      optimizer: the transformation of the accumulated gradient.
      datasets: the datasets that a step visits; batches as in `data.schema`.
      shard: see `accumulation.update`.
      images_at_once: pictures that a device encodes at a time while the vision encoder is frozen;
        0: all of the step's.

    Returns:
      `step(state, batches) -> (state, metrics)`, see `accumulation.update`; the metrics have
      besides "gate/<path>": tanh of every gate after the update (float32, any shape).
    """

    def step(state: TrainState, batches: Mapping[str, Batch]) -> tuple[TrainState, Metrics]:
        if not any(_VISION_ENCODER in path.split("/") for path in flatten(state.trainable)):
            batches = _with_features(functions, state.frozen, batches, images_at_once)

        def loss_sums(trainable: Params, batch: Batch) -> tuple[jax.Array, jax.Array]:
            params = merge(trainable, state.frozen)
            text_BT = batch[schema.TEXT]
            x_BTD, embeddings = _activations(functions, params, batch)
            return next_token_loss_of_activations(
                x_BTD, embeddings, text_BT, batch[schema.LOSS_WEIGHT]
            )

        def loss_gradient(
            trainable: Params, batch: Batch, microbatches: int
        ) -> tuple[jax.Array, Params]:
            return accumulation.mean_loss_gradient(loss_sums, trainable, batch, microbatches, shard)

        state, metrics = accumulation.update(
            state, batches, datasets, loss_gradient, optimizer, shard
        )
        gates = {path: leaf for path, leaf in flatten(state.trainable).items() if is_gate(path)}
        return state, metrics | gate_values(functions.stacks.put_together(unflatten(gates)))

    return step


def _activations(
    functions: FlamingoFunctions, params: Params, batch: Batch
) -> tuple[jax.Array, Sequence[jax.Array]]:
    """What the decoder makes of a batch: of pictures, of their features, or of text alone."""
    text_BT = batch[schema.TEXT]
    if _FEATURES in batch:
        latents_BIRD = functions.resample(params, batch[_FEATURES])
    elif schema.MEDIA in batch:
        latents_BIRD = functions.encode_media(params, batch[schema.MEDIA])
    else:
        return functions.text_activations(params, text_BT, batch.get(schema.SEGMENT))
    return functions.activations(params, text_BT, batch[schema.MEDIA_INDEX], latents_BIRD)


def _with_features(
    functions: FlamingoFunctions,
    frozen: Params,
    batches: Mapping[str, Batch],
    images_at_once: int,
) -> dict[str, Batch]:
    """The batches with features in place of pictures; those of text alone as they are."""

    def encode(media: jax.Array) -> jax.Array:
        return functions.encode_features(frozen, media)

    media = {name: batch[schema.MEDIA] for name, batch in batches.items() if schema.MEDIA in batch}
    if not media:
        return dict(batches)
    features = encode_together(encode, media, images_at_once)
    return {
        name: {key: value for key, value in batch.items() if key != schema.MEDIA}
        | ({_FEATURES: features[name]} if name in features else {})
        for name, batch in batches.items()
    }


def gate_values(params: Params) -> Metrics:
    """tanh of every gate: how far each cross-attention layer is open (0 at initialisation).

    Args:
      params: any parameters; gates are those whose name ends with "gate".

    Returns:
      `{"gate/<path>": tanh(gate)}` in float32; stacked layers give one value for each layer.
    """
    return {
        f"gate/{path}": jnp.tanh(gate.astype(jnp.float32))
        for path, gate in flatten(params).items()
        if is_gate(path)
    }


def is_gate(path: str) -> bool:
    """Whether a parameter is the gate of a cross-attention layer, before its tanh."""
    return path.endswith("gate")
