"""Tests of Flamingo's step with a toy model: what is trained, what is weighted, what is logged."""

from __future__ import annotations

import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flamingo_jax.config import DatasetConfig
from flamingo_jax.models.layers_apart import Stacks
from flamingo_jax.training.losses import next_token_loss
from flamingo_jax.training.state import TrainState, start_state
from flamingo_jax.training.steps import flamingo

V, D, B, T, I = 7, 4, 4, 5, 2


def encode_features(params: Any, media_BIFHWC: jax.Array) -> jax.Array:
    """Mean colour of each picture through a frozen matrix: [B, I, F, 1, D]."""
    color_BIFC = media_BIFHWC.astype(jnp.float32).mean((3, 4)) / 255
    return jnp.tanh(color_BIFC @ params["vision_encoder/a"]["w"])[..., None, :]


def resample(params: Any, features_BIFPD: jax.Array) -> jax.Array:
    """The mean feature of each picture through a trained matrix: [B, I, 1, D]."""
    return features_BIFPD.mean((2, 3))[:, :, None] @ params["resampler/b"]["w"]


def encode_media(params: Any, media_BIFHWC: jax.Array) -> jax.Array:
    """Both in one."""
    return resample(params, encode_features(params, media_BIFHWC))


def activations(
    params: Any, text_BT: jax.Array, media_index_BT: jax.Array, latents_BIRD: jax.Array
) -> tuple[jax.Array, tuple[jax.Array]]:
    """Each token sees its picture through a gate; the embedding that predicts the next."""
    none = jnp.zeros_like(latents_BIRD[:, :1, 0])
    seen_BTD = jnp.take_along_axis(
        jnp.concatenate([none, latents_BIRD[:, :, 0]], 1), media_index_BT[..., None], axis=1
    )
    x_BTD = params["language_model/embedding"]["w"][text_BT]
    x_BTD += jnp.tanh(params["groups/c"]["attention_gate"]) * seen_BTD
    return x_BTD, (params["language_model/embedding"]["w"],)


def text_activations(
    params: Any, text_BT: jax.Array, segment_BT: jax.Array | None
) -> tuple[jax.Array, tuple[jax.Array]]:
    """The first token of its document is what a token sees beside itself."""
    embedding_VD = params["language_model/embedding"]["w"]
    x_BTD = embedding_VD[text_BT]
    if segment_BT is not None:
        first_BT = jnp.argmax(segment_BT[:, :, None] == segment_BT[:, None, :], axis=-1)
        x_BTD += jnp.take_along_axis(x_BTD, first_BT[..., None], axis=1)
    return x_BTD * jnp.tanh(params["groups/c"]["attention_gate"]), (embedding_VD,)


def forward(*arguments: Any) -> jax.Array:
    """Logits of the next token."""
    x_BTD, (embedding_VD,) = activations(*arguments)
    return x_BTD @ embedding_VD.T


NO_STACKS = Stacks((), "")
FUNCTIONS = types.SimpleNamespace(
    stacks=NO_STACKS,
    encode_features=encode_features,
    resample=resample,
    encode_media=encode_media,
    forward=forward,
    activations=activations,
    text_activations=text_activations,
)


def make_state(optimizer: optax.GradientTransformation) -> TrainState:
    keys = jax.random.split(jax.random.key(0), 3)
    trainable = {
        "resampler/b": {"w": jax.random.normal(keys[0], (D, D))},
        "groups/c": {"attention_gate": jnp.array(0.5)},
    }
    frozen = {
        "vision_encoder/a": {"w": jax.random.normal(keys[1], (3, D))},
        "language_model/embedding": {"w": jax.random.normal(keys[2], (V, D))},
    }
    return start_state(trainable, frozen, optimizer, jax.random.key(1))


def make_batch(seed: int, rows: int = B) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "media": random.integers(0, 256, (rows, I, 1, 3, 3, 3), dtype=np.uint8),
        "text": random.integers(0, V, (rows, T), dtype=np.int32),
        "media_index": random.integers(0, I + 1, (rows, T), dtype=np.int32),
        "loss_weight": (random.random((rows, T)) < 0.7).astype(np.float32),
    }


def dataset(name: str, loss_weight: float = 1.0, microbatches: int = 1) -> DatasetConfig:
    return DatasetConfig(
        name=name,
        source="toy",
        batch_size=B,
        loss_weight=loss_weight,
        max_text_length=T,
        microbatches=microbatches,
    )


def loss_by_hand(state: TrainState, batch: dict[str, np.ndarray]) -> float:
    """Mean of -log p(text[t] | before) over weighted positions, written with loops."""
    params = state.trainable | state.frozen
    logits = forward(
        params, batch["text"], batch["media_index"], encode_media(params, batch["media"])
    )
    logits = np.asarray(logits, np.float64)
    total = weight = 0.0
    for b in range(len(logits)):
        for t in range(1, T):
            row = logits[b, t - 1]
            log_p = row[batch["text"][b, t]] - np.log(np.exp(row).sum())
            total -= batch["loss_weight"][b, t] * log_p
            weight += batch["loss_weight"][b, t]
    return total / weight


def test_loss_is_the_weighted_mean_of_next_token_losses() -> None:
    optimizer = optax.sgd(0.1)
    state = make_state(optimizer)
    batches = {"pages": make_batch(0), "clips": make_batch(1, 2)}
    step = flamingo.make_step(FUNCTIONS, optimizer, [dataset("pages"), dataset("clips", 0.03)])
    _, metrics = jax.jit(step)(state, batches)
    pages, clips = (loss_by_hand(state, batch) for batch in batches.values())
    np.testing.assert_allclose(metrics["loss/pages"], pages, rtol=1e-5)
    np.testing.assert_allclose(metrics["loss/clips"], clips, rtol=1e-5)
    np.testing.assert_allclose(metrics["loss/total"], pages + 0.03 * clips, rtol=1e-5)


def text_alone(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key: batch[key] for key in ("text", "loss_weight")}


def text_loss(state: TrainState, batch: dict[str, np.ndarray], segment: Any = None) -> jax.Array:
    params = state.trainable | state.frozen
    x_BTD, (embedding_VD,) = text_activations(params, batch["text"], segment)
    loss, weight = next_token_loss(x_BTD @ embedding_VD.T, batch["text"], batch["loss_weight"])
    return loss / weight


@pytest.mark.parametrize("vision_is_trained", [False, True])
def test_text_alone_stands_beside_pictures(vision_is_trained: bool) -> None:
    optimizer = optax.sgd(0.1)
    state = make_state(optimizer)
    if vision_is_trained:
        frozen = dict(state.frozen)
        vision = {"vision_encoder/a": frozen.pop("vision_encoder/a")}
        state = start_state(state.trainable | vision, frozen, optimizer, jax.random.key(1))
    text = make_batch(1)
    segment = np.tile(np.int32([1, 1, 2, 2, 2]), (B, 1))
    batches = {
        "pages": make_batch(0),
        "text": text_alone(text),
        "packed": text_alone(text) | {"segment": segment},
    }
    datasets = [dataset("pages"), dataset("text", 2.0, 2), dataset("packed", 0.5)]
    step = flamingo.make_step(FUNCTIONS, optimizer, datasets)
    new_state, metrics = jax.jit(step)(state, batches)
    pages = loss_by_hand(state, batches["pages"])
    alone, packed = text_loss(state, text), text_loss(state, text, segment)
    assert abs(float(alone - packed)) > 1e-3
    np.testing.assert_allclose(metrics["loss/text"], alone, rtol=1e-5)
    np.testing.assert_allclose(metrics["loss/packed"], packed, rtol=1e-5)
    np.testing.assert_allclose(metrics["loss/total"], pages + 2 * alone + 0.5 * packed, rtol=1e-5)
    # Only the text moves the gate so: what the pages alone make of it is something else.
    only_pages = flamingo.make_step(FUNCTIONS, optimizer, datasets[:1])
    of_pages, _ = jax.jit(only_pages)(state, {"pages": batches["pages"]})
    gate = [s.trainable["groups/c"]["attention_gate"] for s in (new_state, of_pages)]
    assert abs(float(gate[0] - gate[1])) > 1e-4


def test_a_run_of_text_alone_encodes_nothing() -> None:
    optimizer = optax.sgd(0.1)
    state = make_state(optimizer)
    functions = types.SimpleNamespace(text_activations=text_activations, stacks=NO_STACKS)
    step = flamingo.make_step(functions, optimizer, [dataset("text")])
    batch = text_alone(make_batch(0))
    _, metrics = jax.jit(step)(state, {"text": batch})
    np.testing.assert_allclose(metrics["loss/text"], text_loss(state, batch), rtol=1e-5)


def test_frozen_tree_leaves_the_step_bit_for_bit_and_has_no_moments() -> None:
    optimizer = optax.adam(0.1)
    state = make_state(optimizer)
    step = jax.jit(flamingo.make_step(FUNCTIONS, optimizer, [dataset("pages")]))
    new_state = state
    for seed in range(3):
        new_state, _ = step(new_state, {"pages": make_batch(seed)})
    for path, leaves in state.frozen.items():
        np.testing.assert_array_equal(new_state.frozen[path]["w"], leaves["w"])
    for path, leaves in state.trainable.items():
        for name, leaf in leaves.items():
            assert not np.array_equal(new_state.trainable[path][name], leaf)
    moments = new_state.optimizer_state[0].mu
    assert moments.keys() == state.trainable.keys()
    assert int(new_state.step) == 3


@pytest.mark.parametrize("microbatches", [2, 4])
def test_microbatches_equal_one_batch(microbatches: int) -> None:
    optimizer = optax.sgd(0.1)
    state = make_state(optimizer)
    batches = {"pages": make_batch(0)}
    whole, _ = jax.jit(flamingo.make_step(FUNCTIONS, optimizer, [dataset("pages")]))(state, batches)
    parts, _ = jax.jit(
        flamingo.make_step(FUNCTIONS, optimizer, [dataset("pages", 1.0, microbatches)])
    )(state, batches)
    for one, other in zip(
        jax.tree.leaves(whole.trainable), jax.tree.leaves(parts.trainable), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_gates_are_logged_as_tanh_after_the_update() -> None:
    optimizer = optax.sgd(0.1)
    step = flamingo.make_step(FUNCTIONS, optimizer, [dataset("pages")])
    new_state, metrics = jax.jit(step)(make_state(optimizer), {"pages": make_batch(0)})
    gate = new_state.trainable["groups/c"]["attention_gate"]
    np.testing.assert_allclose(metrics["gate/groups/c/attention_gate"], np.tanh(gate), rtol=1e-6)
    assert float(gate) != 0.5
