"""The language model's training step: next-token cross-entropy on text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import jax
import optax

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.paths import Params, merge
from flamingo_jax.data import schema
from flamingo_jax.training import accumulation
from flamingo_jax.training.accumulation import Batch, Metrics, Shard, unsharded
from flamingo_jax.training.losses import next_token_loss_of_activations
from flamingo_jax.training.state import TrainState

if TYPE_CHECKING:
    from flamingo_jax.models.build import LanguageModelFunctions


def make_step(
    functions: LanguageModelFunctions,
    optimizer: optax.GradientTransformation,
    datasets: Sequence[DatasetConfig],
    shard: Shard = unsharded,
) -> Callable[[TrainState, Mapping[str, Batch]], tuple[TrainState, Metrics]]:
    """Makes the pure step of the language-model stage.

    Args:
      functions: `activations(params, text_BT, segment_BT or None) -> (x_BTD, embeddings)`.
      optimizer: the transformation of the accumulated gradient.
      datasets: the datasets that a step visits; batches hold `text`, `loss_weight`, and `segment`
        if their rows hold several documents.
      shard: see `accumulation.update`.

    Returns:
      `step(state, batches) -> (state, metrics)`, see `accumulation.update`.
    """

    def step(state: TrainState, batches: Mapping[str, Batch]) -> tuple[TrainState, Metrics]:
        def loss_sums(trainable: Params, batch: Batch) -> tuple[jax.Array, jax.Array]:
            text_BT = batch[schema.TEXT]
            x_BTD, embeddings = functions.activations(
                merge(trainable, state.frozen), text_BT, batch.get(schema.SEGMENT)
            )
            return next_token_loss_of_activations(
                x_BTD, embeddings, text_BT, batch[schema.LOSS_WEIGHT]
            )

        def loss_gradient(
            trainable: Params, batch: Batch, microbatches: int
        ) -> tuple[jax.Array, Params]:
            return accumulation.mean_loss_gradient(loss_sums, trainable, batch, microbatches, shard)

        return accumulation.update(state, batches, datasets, loss_gradient, optimizer, shard)

    return step
