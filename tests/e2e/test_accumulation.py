"""Microbatches save memory and change nothing: the real Flamingo step in two parts and in one."""

from __future__ import annotations

import dataclasses
import tempfile
from typing import Any

import jax
import numpy as np
import optax

from flamingo_jax.core.paths import Params, flatten, partition
from flamingo_jax.data import schema
from flamingo_jax.training.accumulation import unsharded
from flamingo_jax.training.stages import make_stage
from flamingo_jax.training.state import start_state
from tests.compilation import fast_compilation
from tests.e2e import tiny_run

B, T = 4, 10
CONFIG = tiny_run.make_config("flamingo")
DATASETS = tuple(
    dataclasses.replace(dataset, batch_size=B, max_text_length=T) for dataset in CONFIG.data[::3]
)
"""Pages with several pictures, and clips of several frames."""


def make_batches() -> dict[str, Any]:
    """Random batches; every row has another number of tokens that count."""
    random = np.random.default_rng(0)
    vision_encoder = CONFIG.model.vision_encoder
    assert vision_encoder is not None
    size = vision_encoder.image_size
    batches = {}
    for dataset in DATASETS:
        media_shape = (B, dataset.max_images, dataset.num_frames, size, size, 3)
        counts_BT = np.arange(T) <= 2 * np.arange(1, B + 1)[:, None]
        batches[dataset.name] = {
            schema.MEDIA: random.integers(0, 256, media_shape, dtype=np.uint8),
            schema.TEXT: random.integers(4, 1024, (B, T), dtype=np.int32),
            schema.MEDIA_INDEX: random.integers(0, dataset.max_images + 1, (B, T), dtype=np.int32),
            schema.LOSS_WEIGHT: counts_BT.astype(np.float32),
        }
    return batches


def step(microbatches: int) -> tuple[Params, dict[str, float]]:
    """The accumulated gradient and the losses of one step."""
    datasets = tuple(dataclasses.replace(d, microbatches=microbatches) for d in DATASETS)
    stage = make_stage(dataclasses.replace(CONFIG, data=datasets), tempfile.gettempdir())
    abstract = jax.eval_shape(stage.init, jax.random.key(0))
    trainable, frozen = partition(tiny_run.random_parameters(abstract), stage.is_trainable)
    # This update is the gradient itself: Adam would divide what rounding leaves of it by its size.
    optimizer = optax.sgd(1.0)
    state = start_state(trainable, frozen, optimizer, jax.random.key(0))
    with fast_compilation():
        after, metrics = jax.jit(stage.make_step(optimizer, unsharded))(state, make_batches())
    gradient = jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), trainable, after.trainable)
    return gradient, {name: float(x) for name, x in metrics.items() if name.startswith("loss/")}


def test_two_microbatches_give_the_gradient_and_the_losses_of_one_batch() -> None:
    whole, losses = step(1)
    parts, losses_in_parts = step(2)
    assert losses.keys() == losses_in_parts.keys() == {"loss/pages", "loss/clips", "loss/total"}
    for name, loss in losses.items():
        assert abs(losses_in_parts[name] - loss) <= 1e-6 * loss, name
    parts_leaves = flatten(parts)
    for path, leaf in flatten(whole).items():
        assert np.max(np.abs(leaf)) > 1e-5, path
        np.testing.assert_allclose(parts_leaves[path], leaf, rtol=0, atol=1e-6, err_msg=path)
