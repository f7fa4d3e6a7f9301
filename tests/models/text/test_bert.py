"""The text tower: padding, order, sizes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.config import TextTowerConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.core.paths import Params, flatten, unflatten
from flamingo_jax.models.text.bert import BertEncoder

CONFIG = TextTowerConfig(num_layers=2, width=16, num_heads=2, vocabulary_size=50, max_length=12)
TEXT = np.asarray([[5, 7, 9, 11], [3, 4, 0, 0], [49, 1, 2, 0]], np.int32)


def transformed(config: TextTowerConfig, dtype: jnp.dtype = jnp.float32) -> hk.Transformed:
    return hk.transform(lambda text: BertEncoder(config, dtype, name="text_tower")(text))


_encode = jax.jit(transformed(CONFIG).apply)


@pytest.fixture(scope="module")
def params() -> Params:
    shapes = flatten(jax.eval_shape(transformed(CONFIG).init, jax.random.key(0), TEXT))
    rng = np.random.default_rng(0)
    return unflatten(
        {
            path: np.float32(path.endswith("/scale") + 0.3 * rng.standard_normal(leaf.shape))
            for path, leaf in shapes.items()
        }
    )


def encode(params: Params, text: Any) -> np.ndarray:
    return np.asarray(_encode(params, None, np.asarray(text, np.int32)))


def test_padding_changes_nothing(params: Params) -> None:
    alone = np.concatenate([encode(params, row[None, : np.count_nonzero(row)]) for row in TEXT])
    np.testing.assert_allclose(encode(params, TEXT), alone, atol=1e-5)
    longer = np.pad(TEXT, ((0, 0), (0, 8)))
    np.testing.assert_allclose(encode(params, longer), alone, atol=1e-5)


def test_every_real_token_and_the_order_count(params: Params) -> None:
    base = encode(params, TEXT[:1])
    for position in range(4):
        changed = TEXT[:1].copy()
        changed[0, position] = 30
        assert np.abs(encode(params, changed) - base).max() > 1e-3
    assert np.abs(encode(params, TEXT[:1, ::-1]) - base).max() > 1e-3


def test_text_of_padding_alone_is_zero(params: Params) -> None:
    np.testing.assert_array_equal(encode(params, [[0, 0, 0]]), np.zeros((1, 16), np.float32))


def test_single_token_by_hand(params: Params) -> None:
    """One token attends to itself alone: softmax and mask drop out, the rest is matrix products."""
    p = {path.removeprefix("text_tower/"): np.asarray(x) for path, x in flatten(params).items()}

    def norm(x: np.ndarray, prefix: str, layer: int | None) -> np.ndarray:
        scale, offset = p[f"{prefix}/scale"], p[f"{prefix}/offset"]
        if layer is not None:
            scale, offset = scale[layer], offset[layer]
        return (x - x.mean()) / math.sqrt(x.var() + 1e-5) * scale + offset

    def linear(x: np.ndarray, prefix: str, layer: int) -> np.ndarray:
        return x @ p[f"{prefix}/w"][layer] + p[f"{prefix}/b"][layer]

    x = norm(p["token_embedding"][7] + p["position_embedding"][0], "embedding_norm", None)
    for layer in range(2):
        block = "layers/block"
        value = linear(x, f"{block}/attention/value", layer)
        attended = linear(value, f"{block}/attention/output", layer)
        x = norm(x + attended, f"{block}/attention_norm", layer)
        hidden = linear(x, f"{block}/feed_forward/hidden", layer)
        hidden = np.asarray([0.5 * h * (1 + math.erf(h / math.sqrt(2))) for h in hidden])
        forward = linear(hidden, f"{block}/feed_forward/output", layer)
        x = norm(x + forward, f"{block}/feed_forward_norm", layer)
    np.testing.assert_allclose(encode(params, [[7]])[0], x, atol=2e-4)


def test_bert_mini_has_the_published_number_of_parameters() -> None:
    """11.17M with BERT's 30,522 pieces and 512 positions (Turc et al. 2019: 11.3M with pooler)."""
    mini = TextTowerConfig(
        num_layers=4, width=256, num_heads=4, vocabulary_size=30522, max_length=512
    )
    shapes = jax.eval_shape(transformed(mini).init, jax.random.key(0), TEXT)
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
    pooler, segments = 256 * 256 + 256, 2 * 256
    assert count + pooler + segments == 11_170_560  # google/bert_uncased_L-4_H-256_A-4


def test_activations_may_be_bfloat16_and_the_result_is_float32(params: Params) -> None:
    low = jax.jit(transformed(CONFIG, jnp.bfloat16).apply)(params, None, TEXT)
    assert low.dtype == jnp.float32
    np.testing.assert_allclose(low, encode(params, TEXT), atol=0.15)


def test_user_errors() -> None:
    with pytest.raises(UserError, match="max_length"):
        transformed(CONFIG).init(jax.random.key(0), np.ones((1, 13), np.int32))
    with pytest.raises(UserError, match="num_heads"):
        odd = dataclasses.replace(CONFIG, num_heads=3)
        transformed(odd).init(jax.random.key(0), TEXT)
