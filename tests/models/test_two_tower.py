"""The dual encoder: parameter paths, pooling, unit length, temperature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.config import TextTowerConfig
from flamingo_jax.core.paths import Params, flatten
from flamingo_jax.models.text.bert import BertEncoder
from flamingo_jax.models.two_tower import JointSpace, TwoTower, l2_normalize
from flamingo_jax.models.variants import NFNetVariant
from flamingo_jax.models.vision.nfnet import NFNet

VARIANT = NFNetVariant(
    stem_channels=(4,),
    stem_strides=(2,),
    widths=(8,),
    depths=(2,),
    stage_strides=(2,),
    group_widths=(4,),
    drop_rate=0.0,
    train_image_size=8,
    test_image_size=8,
)
TEXT_TOWER = TextTowerConfig(num_layers=1, width=8, num_heads=2, vocabulary_size=20, max_length=6)
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
TEXT = np.asarray([[5, 6, 0], [7, 0, 0], [8, 9, 10]], np.int32)


def two_tower(dtype: jnp.dtype = jnp.float32) -> TwoTower:
    return TwoTower(VARIANT, TEXT_TOWER, embedding_width=5, dtype=dtype)


def forward(images: jax.Array, text: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    return two_tower()(images, text)


def apply(function: Callable[..., Any], params: Params, *arguments: np.ndarray) -> Any:
    return jax.jit(hk.without_apply_rng(hk.transform(function)).apply)(params, *arguments)


@pytest.fixture(scope="module")
def params() -> Params:
    shapes = jax.eval_shape(hk.transform(forward).init, jax.random.key(0), IMAGES, TEXT)
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape).astype(leaf.dtype), shapes)


def test_parameter_paths(params: Params) -> None:
    paths = flatten(params)
    assert {path.split("/")[0] for path in paths} == {"vision_encoder", "text_tower", "two_tower"}
    assert {path: paths[path].shape for path in paths if path.startswith("two_tower")} == {
        "two_tower/image_projection": (16, 5),
        "two_tower/text_projection": (8, 5),
        "two_tower/log_inverse_temperature": (),
    }


def test_towers_apart_use_the_same_parameters(params: Params) -> None:
    image_BE, text_BE, beta = apply(forward, params, IMAGES, TEXT)
    image = apply(lambda x: two_tower().encode_image(x), params, IMAGES)
    text = apply(lambda x: two_tower().encode_text(x), params, TEXT)
    np.testing.assert_allclose(image, image_BE, atol=1e-6)
    np.testing.assert_allclose(text, text_BE, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(image_BE, axis=-1), np.ones(3), rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(text_BE, axis=-1), np.ones(3), rtol=1e-5)
    assert float(beta) == pytest.approx(np.exp(params["two_tower"]["log_inverse_temperature"]))
    assert image_BE.dtype == text_BE.dtype == beta.dtype == jnp.float32


def test_embeddings_are_projected_means_of_the_towers(params: Params) -> None:
    def features(x: jax.Array) -> jax.Array:
        return NFNet(VARIANT, name="vision_encoder")(x)

    def pooled_text(x: jax.Array) -> jax.Array:
        return BertEncoder(TEXT_TOWER, jnp.float32, name="text_tower")(x)

    image_BE, text_BE, _ = apply(forward, params, IMAGES, TEXT)
    grid = np.asarray(apply(features, params, IMAGES))
    expected = grid.mean((1, 2)) @ np.asarray(params["two_tower"]["image_projection"])
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(image_BE, expected, atol=1e-5)
    expected = np.asarray(apply(pooled_text, params, TEXT))
    expected = expected @ np.asarray(params["two_tower"]["text_projection"])
    expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(text_BE, expected, atol=1e-5)


def test_embeddings_are_float32_of_bfloat16_towers(params: Params) -> None:
    image_BE, text_BE, _ = apply(lambda x, t: two_tower(jnp.bfloat16)(x, t), params, IMAGES, TEXT)
    exact, _, _ = apply(forward, params, IMAGES, TEXT)
    assert image_BE.dtype == text_BE.dtype == jnp.float32
    assert np.sum(image_BE * exact, axis=-1).min() > 0.99


def test_inverse_temperature_starts_at_ten() -> None:
    joint_space = hk.transform(lambda: JointSpace(4, name="two_tower").inverse_temperature())
    params = joint_space.init(None)
    assert float(joint_space.apply(params, None)) == pytest.approx(10.0)
    assert float(params["two_tower"]["log_inverse_temperature"]) == pytest.approx(np.log(10.0))


def test_normalisation_of_zeros_is_zero_and_has_a_gradient() -> None:
    np.testing.assert_array_equal(l2_normalize(jnp.zeros(3)), np.zeros(3))
    assert np.all(np.isfinite(jax.jacobian(l2_normalize)(jnp.zeros(3))))
