"""Linear layers: the plain product, and the same one in panels where there are few rows."""

from __future__ import annotations

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.models.layers import linear
from flamingo_jax.models.layers.linear import PANELS, Linear, in_panels

WIDTH, COLUMNS = 5, 70  # a panel and a part of one

LAYER = hk.without_apply_rng(hk.transform(lambda x: Linear(COLUMNS, name="layer")(x)))
RANDOM = np.random.default_rng(0)
W = RANDOM.standard_normal((WIDTH, COLUMNS), np.float32)
B = RANDOM.standard_normal(COLUMNS, np.float32)


def test_panels_are_64_columns_each_filled_up_with_zeros() -> None:
    stacked = np.stack([W, 2 * W])
    panels = in_panels(jnp.asarray(stacked))["panels_0"]
    assert panels.shape == (2, 2, WIDTH, 64)
    np.testing.assert_array_equal(panels[:, 0], stacked[..., :64])
    np.testing.assert_array_equal(panels[:, 1, :, :6], stacked[..., 64:])
    assert not np.any(panels[:, 1, :, 6:])


@pytest.mark.parametrize("shape", [(1, 1), (4, 3), (8, 3), (1, 25), (5, 7)])
def test_few_rows_are_multiplied_with_panels_and_give_the_same(shape: tuple[int, int]) -> None:
    x = RANDOM.standard_normal((*shape, WIDTH), np.float32)
    expected = x.astype(np.float64) @ W + B
    params = {"layer": {"w": jnp.asarray(W), "b": jnp.asarray(B)}}
    np.testing.assert_allclose(LAYER.apply(params, x), expected, atol=1e-5)
    params["layer"] |= in_panels(params["layer"]["w"])
    np.testing.assert_allclose(LAYER.apply(params, x), expected, atol=1e-5)
    # Which of the two was read shows when the other is not there or wrong.
    wrong = "w" if shape[0] * shape[1] <= 24 else PANELS.format(0)
    params["layer"][wrong] = jnp.zeros(())
    np.testing.assert_allclose(LAYER.apply(params, x), expected, atol=1e-5)


def test_large_matrices_are_in_four_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "_SMALLEST_PART", 64)
    w = RANDOM.standard_normal((WIDTH, 7 * 64 - 1), np.float32)
    parts = in_panels(jnp.asarray(w))
    assert [parts[PANELS.format(part)].shape[0] for part in range(4)] == [2, 2, 2, 1]
    layer = hk.without_apply_rng(
        hk.transform(lambda x: Linear(w.shape[1], with_bias=False, name="layer")(x))
    )
    x = RANDOM.standard_normal((3, WIDTH), np.float32)
    np.testing.assert_allclose(layer.apply({"layer": parts}, x), x @ w, atol=1e-5)


def test_a_new_layer_has_no_panels() -> None:
    params = LAYER.init(jax.random.key(0), jnp.zeros((1, WIDTH)))
    assert set(params["layer"]) == {"w", "b"}
