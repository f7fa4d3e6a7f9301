"""Flamingo's training step: text given pictures, vision encoder and language model frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import optax

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.paths import Params, flatten, merge
from flamingo_jax.data import schema
from flamingo_jax.training import accumulation
from flamingo_jax.training.accumulation import Batch, Metrics
from flamingo_jax.training.losses import next_token_loss
from flamingo_jax.training.state import TrainState

if TYPE_CHECKING:
    from flamingo_jax.models.build import FlamingoFunctions


def make_step(
    functions: FlamingoFunctions,
    optimizer: optax.GradientTransformation,
    datasets: Sequence[DatasetConfig],
) -> Callable[[TrainState, Mapping[str, Batch]], tuple[TrainState, Metrics]]:
    """Makes the pure step of the Flamingo stage (paper, section 4.1.4).

    Pages, pairs and clips differ in shape alone, so that one loss serves all datasets; each has its
    own batch size and weight lambda. Only the trainable tree is differentiated: nothing flows back
    into the vision encoder, and through the language model only to the layers between its own.

    Args:
      functions: `encode_media(params, media_BIFHWC) -> latents_BIRD` and
        `forward(params, text_BT, media_index_BT, latents_BIRD) -> logits_BTV`.
      optimizer: the transformation of the accumulated gradient.
      datasets: the datasets that a step visits; batches as in `data.schema`.

    Returns:
      `step(state, batches) -> (state, metrics)`, see `accumulation.update`; the metrics have
      besides "gate/<path>": tanh of every gate after the update (float32, any shape).
    """

    def step(state: TrainState, batches: Mapping[str, Batch]) -> tuple[TrainState, Metrics]:
        def loss_sums(trainable: Params, batch: Batch) -> tuple[jax.Array, jax.Array]:
            params = merge(trainable, state.frozen)
            text_BT = batch[schema.TEXT]
            latents_BIRD = functions.encode_media(params, batch[schema.MEDIA])
            logits_BTV = functions.forward(params, text_BT, batch[schema.MEDIA_INDEX], latents_BIRD)
            return next_token_loss(logits_BTV, text_BT, batch[schema.LOSS_WEIGHT])

        def loss_gradient(
            trainable: Params, batch: Batch, microbatches: int
        ) -> tuple[jax.Array, Params]:
            return accumulation.mean_loss_gradient(loss_sums, trainable, batch, microbatches)

        state, metrics = accumulation.update(state, batches, datasets, loss_gradient, optimizer)
        return state, metrics | gate_values(state.trainable)

    return step


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
        if path.endswith("gate")
    }
