"""Rows of several documents: each is what it would be alone, in losses and in gradients."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.config import CrossAttentionConfig, ModelConfig
from flamingo_jax.core.paths import flatten
from flamingo_jax.models import build
from flamingo_jax.models.language_model import SelfAttention
from flamingo_jax.models.masks import text_mask
from tests.models import tiny

LENGTHS = (5, 3, 6)
PADDING = 2

Activations = Callable[..., tuple[jax.Array, tuple[jax.Array, ...]]]


def _config(remat: str = "none") -> ModelConfig:
    config = tiny.model_config(num_layers=3)
    # A layer in the middle: one stack with and one without cross-attention.
    cross_attention = CrossAttentionConfig(num_heads=2, head_dim=12, placement="middle")
    return dataclasses.replace(config, cross_attention=cross_attention, remat=remat)


@functools.cache
def _model(kind: str, remat: str = "none") -> tuple[Activations, build.Params]:
    """(params, text, segment) -> activations and output embedding; parameters with open gates."""
    if kind == "language model":
        functions = build.build_language_model(_config(remat))
        return functions.activations, tiny.parameters(functions.init)
    flamingo = build.build_flamingo(_config(remat))
    params = tiny.open_gates(tiny.parameters(flamingo.init))
    return flamingo.text_activations, {
        path: leaf for path, leaf in params.items() if "vision_encoder" not in path
    }


def _documents() -> list[np.ndarray]:
    random = np.random.default_rng(3)
    return [random.integers(4, tiny.VOCABULARY_SIZE, length) for length in LENGTHS]


def _packed() -> tuple[np.ndarray, np.ndarray]:
    """text [1, T] and segment [1, T] of all documents, with padding behind them."""
    text = np.concatenate([*_documents(), np.zeros(PADDING)]).astype(np.int32)
    segment = np.repeat((1, 2, 3, 0), (*LENGTHS, PADDING)).astype(np.int32)
    return text[None], segment[None]


def _token_losses(
    activations: Activations, params: Any, text_BT: np.ndarray, segment_BT: np.ndarray | None
) -> jax.Array:
    """-log p of tokens 1 to T-1 given what stands before them: [B, T-1]."""
    x_BTD, embeddings = activations(params, text_BT, segment_BT)
    logits_BTV = x_BTD @ jnp.concatenate(embeddings).T
    log_probability_BTV = jax.nn.log_softmax(logits_BTV[:, :-1])
    return -jnp.take_along_axis(log_probability_BTV, text_BT[:, 1:, None], axis=-1)[..., 0]


def _packed_losses(activations: Activations, params: Any, *, separate: bool) -> list[jax.Array]:
    """The losses of each document's tokens but its first, in the packed row."""
    text, segment = _packed()
    losses_T = _token_losses(activations, params, text, segment if separate else None)[0]
    starts = np.cumsum((0, *LENGTHS))
    return [
        losses_T[start : start + length - 1] for start, length in zip(starts, LENGTHS, strict=False)
    ]


def _losses_alone(activations: Activations, params: Any) -> list[jax.Array]:
    return [
        _token_losses(activations, params, document[None].astype(np.int32), None)[0]
        for document in _documents()
    ]


@pytest.mark.parametrize("kind", ["language model", "flamingo"])
def test_losses_of_a_packed_row_are_those_of_its_documents_alone(kind: str) -> None:
    activations, params = _model(kind)

    @jax.jit
    def losses(params: Any) -> tuple[list[jax.Array], ...]:
        return (
            _packed_losses(activations, params, separate=True),
            _losses_alone(activations, params),
            _packed_losses(activations, params, separate=False),
        )

    packed, alone, mixed = losses(params)
    for number, (found, expected, seen) in enumerate(zip(packed, alone, mixed, strict=True)):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        # Without the segments all but the first document see what is not theirs.
        largest = np.abs(seen - expected).max()
        assert largest < 1e-5 if number == 0 else largest > 1e-2


@pytest.mark.parametrize(("kind", "remat"), [("language model", "none"), ("flamingo", "group")])
def test_the_gradient_of_a_packed_row_is_the_sum_of_those_of_its_documents(
    kind: str, remat: str
) -> None:
    activations, params = _model(kind, remat)

    def gradient(losses: Callable[[Any], list[jax.Array]]) -> dict[str, Any]:
        total = jax.grad(lambda p: sum((jnp.sum(part) for part in losses(p)), jnp.float32(0)))
        return dict(flatten(jax.jit(total)(params)))

    packed = gradient(lambda p: _packed_losses(activations, p, separate=True))
    alone = gradient(lambda p: _losses_alone(activations, p))
    mixed = gradient(lambda p: _packed_losses(activations, p, separate=False))
    largest = max(np.abs(leaf).max() for leaf in alone.values())
    for path, expected in alone.items():
        np.testing.assert_allclose(
            packed[path], expected, rtol=1e-5, atol=1e-6 * largest, err_msg=path
        )
    differs = max(np.abs(mixed[path] - leaf).max() for path, leaf in alone.items())
    assert differs > 1e-2 * largest


def test_a_token_sees_its_own_document_up_to_itself() -> None:
    segment = jnp.asarray([[1, 1, 2, 2, 2, 0]])
    mask = text_mask(jnp.arange(6)[None], 6, segment)
    expected = [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 1, 1, 0, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    np.testing.assert_array_equal(mask[0, 0], np.asarray(expected, bool))
    whole = text_mask(jnp.arange(6)[None], 6)
    np.testing.assert_array_equal(whole[0, 0], np.tril(np.ones((6, 6), bool)))


def test_a_cache_holds_one_document() -> None:
    config = _config()
    assert config.language_model is not None
    text, segment = _packed()
    attend = hk.without_apply_rng(
        hk.transform(
            lambda x: SelfAttention(config.language_model, name="attention")(x, segment, 20)
        )
    )
    with pytest.raises(AssertionError, match="a cache is of one document"):
        attend.init(tiny.key(), np.zeros((1, text.shape[1], 24), np.float32))
