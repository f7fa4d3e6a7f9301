"""The best of many columns against sorting all of them."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from flamingo_jax.evaluation.top_k import top_k_of_many


@pytest.mark.parametrize("num_columns", [6, 31, 32, 33, 1000])
@pytest.mark.parametrize("num_values", [1, 3, 10**6])
def test_it_is_top_k_with_its_order_of_equal_values(num_columns: int, num_values: int) -> None:
    x = np.random.default_rng(0).integers(num_values, size=(4, 3, num_columns)).astype(np.float32)
    for count in (1, 2, 6):
        values, columns = top_k_of_many(x, count)
        expected_values, expected_columns = jax.lax.top_k(x, count)
        np.testing.assert_array_equal(values, expected_values)
        np.testing.assert_array_equal(columns, expected_columns)


def test_columns_that_cannot_be_chosen_come_last_in_order() -> None:
    x = np.full((2, 40), -np.inf, np.float32)
    x[:, 37] = 0.0
    np.testing.assert_array_equal(top_k_of_many(x, 3)[1], [[37, 0, 1]] * 2)
