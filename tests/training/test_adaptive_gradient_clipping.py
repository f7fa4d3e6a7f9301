"""Adaptive gradient clipping: by hand, and stacked parameters as their layers apart."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flamingo_jax.core.paths import Params
from flamingo_jax.models.vision import nfnet
from flamingo_jax.training.adaptive_gradient_clipping import adaptive_gradient_clipping, unit_norm


def clip(gradients: Params, params: Params, *arguments: Any, **options: Any) -> Params:
    transformation = adaptive_gradient_clipping(*arguments, **options)
    update = jax.jit(lambda g, p: transformation.update(g, transformation.init(p), p)[0])
    return update(gradients, params)


def test_units_of_every_shape() -> None:
    assert unit_norm(jnp.ones(())).shape == ()
    np.testing.assert_allclose(unit_norm(jnp.full((4,), 2.0)), [4.0])
    np.testing.assert_allclose(unit_norm(jnp.ones((9, 2))), [[3.0, 3.0]])
    np.testing.assert_allclose(unit_norm(jnp.ones((2, 2, 4, 3))), [[[[4.0] * 3]]])
    # The 1x1 convolution to one channel is a vector, as in the original.
    np.testing.assert_allclose(unit_norm(jnp.ones((1, 1, 4, 1))), [[[[2.0]]]])
    with pytest.raises(ValueError, match="layer axes"):
        unit_norm(jnp.ones((2, 3, 3, 4, 5)))


def test_clipping_by_hand() -> None:
    params = {"m": {"w": np.asarray([[3.0, 0.0], [4.0, 0.0]], np.float32)}}
    gradients = {"m": {"w": np.asarray([[6.0, 0.3], [8.0, 0.4]], np.float32)}}
    clipped = clip(gradients, params, 0.1, epsilon=1e-3)["m"]["w"]
    # Unit 0: ||w|| = 5, ||g|| = 10 > 0.5, so scaled to 0.5. Unit 1: ||w|| = 0, floored at 1e-3.
    np.testing.assert_allclose(clipped[:, 0], [0.3, 0.4], rtol=1e-6)
    np.testing.assert_allclose(clipped[:, 1], [0.6e-4, 0.8e-4], rtol=1e-5)


def test_small_gradients_pass_unchanged_and_keep_their_dtype() -> None:
    params = {"m": {"w": jnp.ones((4, 3)), "b": jnp.ones(3)}}
    gradients = jax.tree.map(lambda x: (x * 1e-4).astype(jnp.bfloat16), params)
    clipped = clip(gradients, params, 0.01)
    for before, after in zip(jax.tree.leaves(gradients), jax.tree.leaves(clipped), strict=True):
        assert after.dtype == jnp.bfloat16
        np.testing.assert_array_equal(before, after)


def test_zero_gradients_stay_zero_and_finite() -> None:
    params = {"m": {"w": jnp.zeros((4, 3))}}
    np.testing.assert_array_equal(clip(params, params, 0.01)["m"]["w"], np.zeros((4, 3)))


@pytest.mark.parametrize("shape", [(), (5,), (4, 5), (3, 3, 2, 5)])
def test_a_stack_is_clipped_as_its_layers_apart(shape: tuple[int, ...]) -> None:
    layers = 3
    rng = np.random.default_rng(0)
    scale = np.asarray([0.01, 1.0, 100.0], np.float32).reshape(-1, *[1] * len(shape))
    parameter = rng.standard_normal((layers, *shape)).astype(np.float32) * scale
    gradient = rng.standard_normal((layers, *shape)).astype(np.float32)
    path = "vision_encoder/stage2_blocks/block/conv1"
    stacked = clip(
        {path: {"w": gradient}}, {path: {"w": parameter}}, 0.1, layer_axes=nfnet.layer_axes
    )
    for layer in range(layers):
        apart = clip({"m": {"w": gradient[layer]}}, {"m": {"w": parameter[layer]}}, 0.1)
        np.testing.assert_allclose(stacked[path]["w"][layer], apart["m"]["w"], rtol=1e-6)
    # The same numbers without the layer axis give something else (or an error, for kernels).
    if shape != (3, 3, 2, 5):
        mixed = clip({"m": {"w": gradient}}, {"m": {"w": parameter}}, 0.1)["m"]["w"]
        assert np.abs(mixed - stacked[path]["w"]).max() > 1e-3


def test_two_layer_axes_of_nested_stacks() -> None:
    rng = np.random.default_rng(0)
    parameter, gradient = rng.standard_normal((2, 2, 3, 4, 5)).astype(np.float32)
    clipped = clip({"m": {"w": gradient}}, {"m": {"w": parameter}}, 0.1, layer_axes=lambda path: 2)[
        "m"
    ]["w"]
    for index in np.ndindex(2, 3):
        apart = clip({"m": {"w": gradient[index]}}, {"m": {"w": parameter[index]}}, 0.1)
        np.testing.assert_allclose(clipped[index], apart["m"]["w"], rtol=1e-6)


def test_masked_to_some_paths() -> None:
    params = {"vision_encoder/a": {"w": jnp.ones((2, 2))}, "text_tower/b": {"w": jnp.ones((2, 2))}}
    gradients = jax.tree.map(lambda x: 100 * x, params)
    mask = {"vision_encoder/a": {"w": True}, "text_tower/b": {"w": False}}
    seen = []

    def layer_axes(path: str) -> int:
        seen.append(path)
        return 0

    transformation = optax.masked(adaptive_gradient_clipping(0.01, layer_axes=layer_axes), mask)
    clipped, _ = transformation.update(gradients, transformation.init(params), params)
    assert seen == ["vision_encoder/a/w"]
    np.testing.assert_array_equal(clipped["text_tower/b"]["w"], gradients["text_tower/b"]["w"])
    np.testing.assert_allclose(clipped["vision_encoder/a"]["w"], np.full((2, 2), 0.01), rtol=1e-6)


def test_parameters_are_needed() -> None:
    transformation = adaptive_gradient_clipping(0.01)
    with pytest.raises(ValueError, match="parameters"):
        transformation.update({"m": {"w": jnp.ones(2)}}, transformation.init({}))
