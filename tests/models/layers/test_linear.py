"""Linear layers: the plain product, and the same one in panels where there are few rows."""

from __future__ import annotations

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.models.layers.linear import PANELS, Linear, in_panels

WIDTH, COLUMNS = 1024, 9 * 32 - 1

LAYER = hk.without_apply_rng(hk.transform(lambda x: Linear(COLUMNS, name="layer")(x)))
RANDOM = np.random.default_rng(0)
W = RANDOM.standard_normal((WIDTH, COLUMNS), np.float32) / 32
B = RANDOM.standard_normal(COLUMNS, np.float32)


def test_panels_are_32_columns_each_filled_up_with_zeros() -> None:
    stacked = np.stack([W, 2 * W])
    panels = in_panels(jnp.asarray(stacked))
    assert list(panels) == [PANELS.format(part) for part in range(9)]
    assert {panel.shape for panel in panels.values()} == {(2, 1, WIDTH, 32)}
    np.testing.assert_array_equal(panels["panels_1"][:, 0], stacked[..., 32:64])
    np.testing.assert_array_equal(panels["panels_8"][:, 0, :, :31], stacked[..., 256:])
    assert not np.any(panels["panels_8"][:, 0, :, 31])


@pytest.mark.parametrize(
    ("panels", "parts"), [(9, 9), (16, 16), (31, 31), (32, 16), (33, 17), (47, 24), (1001, 32)]
)
def test_a_matrix_is_cut_into_more_parts_than_one_thread_keeps(panels: int, parts: int) -> None:
    shapes = jax.eval_shape(in_panels, jax.ShapeDtypeStruct((1024, 32 * panels), jnp.float32))
    assert len(shapes) == parts
    assert panels <= sum(part.shape[0] for part in shapes.values()) < 1.1 * panels


@pytest.mark.parametrize("shape", [(2**12, 8 * 32), (2**9 - 1, 2**9)])
def test_small_or_narrow_matrices_have_no_panels(shape: tuple[int, int]) -> None:
    assert not in_panels(jnp.zeros(shape))


@pytest.mark.parametrize("shape", [(1, 1), (4, 3), (16, 2), (1, 33), (5, 7)])
def test_few_rows_are_multiplied_with_panels_and_give_the_same(shape: tuple[int, int]) -> None:
    x = RANDOM.standard_normal((*shape, WIDTH), np.float32)
    expected = x.astype(np.float64) @ W + B
    params = {"layer": {"w": jnp.asarray(W), "b": jnp.asarray(B)}}
    np.testing.assert_allclose(LAYER.apply(params, x), expected, atol=1e-5)
    params["layer"] |= in_panels(params["layer"]["w"])
    np.testing.assert_allclose(LAYER.apply(params, x), expected, atol=1e-5)
    # Which of the two was read shows when the other is not there or wrong.
    wrong = "w" if shape[0] * shape[1] <= 32 else PANELS.format(0)
    params["layer"][wrong] = jnp.zeros(())
    np.testing.assert_allclose(LAYER.apply(params, x), expected, atol=1e-5)


def test_a_new_layer_has_no_panels() -> None:
    params = LAYER.init(jax.random.key(0), jnp.zeros((1, WIDTH)))
    assert set(params["layer"]) == {"w", "b"}
