"""Losses by hand, by finite differences, and by parts."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.training.losses import (
    CHUNK_LENGTH,
    contrastive_correct,
    contrastive_loss,
    next_token_loss,
    next_token_loss_of_activations,
)


def test_next_token_loss_by_hand() -> None:
    # Two words; the logits put odds 3 to 1 on word 1 at t = 0, 1 to 1 at t = 1.
    logits = np.asarray([[[0.0, math.log(3)], [0.0, 0.0], [50.0, -50.0]]], np.float32)
    text = np.asarray([[0, 1, 0]], np.int32)
    weight = np.asarray([[9.0, 1.0, 0.5]], np.float32)
    total, count = next_token_loss(logits, text, weight)
    # Position 0 predicts text[1] = 1 (probability 3/4), position 1 predicts text[2] (1/2, weight
    # 1/2). Neither the weight of text[0] nor the last logits count.
    assert float(total) == pytest.approx(math.log(4 / 3) + 0.5 * math.log(2), rel=1e-6)
    assert float(count) == pytest.approx(1.5)


def test_next_token_loss_adds_up_over_parts_and_ignores_what_has_no_weight() -> None:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((4, 6, 9)).astype(np.float32)
    text = rng.integers(0, 9, (4, 6)).astype(np.int32)
    weight = rng.integers(0, 2, (4, 6)).astype(np.float32)
    whole = np.asarray(next_token_loss(logits, text, weight))
    parts = [
        np.asarray(next_token_loss(logits[s], text[s], weight[s]))
        for s in (slice(0, 1), slice(1, 4))
    ]
    np.testing.assert_allclose(parts[0] + parts[1], whole, rtol=1e-6)

    gradient = jax.grad(lambda x: next_token_loss(x, text, weight)[0])(logits)
    np.testing.assert_array_equal(gradient[:, -1], np.zeros((4, 9)))
    np.testing.assert_array_equal(np.any(gradient[:, :-1], axis=-1), weight[:, 1:] > 0)
    # softmax - one-hot where there is weight
    probability = jax.nn.softmax(logits[:, :-1])
    expected = (probability - np.eye(9)[text[:, 1:]]) * weight[:, 1:, None]
    np.testing.assert_allclose(gradient[:, :-1], expected, atol=1e-6)


def test_next_token_loss_is_float32_for_bfloat16_logits_of_any_size() -> None:
    logits = jnp.full((1, 2, 3), 3e4, jnp.bfloat16)
    total, _ = next_token_loss(logits, jnp.zeros((1, 2), jnp.int32), jnp.ones((1, 2)))
    assert total.dtype == jnp.float32
    assert float(total) == pytest.approx(math.log(3), rel=1e-6)


def test_contrastive_loss_by_hand() -> None:
    # Logits beta * [[1, 0], [3/5, 4/5]] with beta = 5: [[5, 0], [3, 4]].
    image = np.asarray([[1.0, 0.0], [0.6, 0.8]], np.float32)
    text = np.eye(2, dtype=np.float32)
    total, count = contrastive_loss(image, text, 5.0)
    image_to_text = math.log(1 + math.exp(-5)) + math.log(1 + math.exp(-1))
    text_to_image = math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-4))
    assert float(total) == pytest.approx(image_to_text + text_to_image, rel=1e-5)
    assert float(count) == 2.0
    # Smoothing 0.1 puts 0.95 on the pair and 0.05 on the other: each term grows by 0.05 times the
    # distance of the two logits.
    smoothed, _ = contrastive_loss(image, text, 5.0, 0.1)
    growth = 0.05 * ((5 - 0) + (4 - 3) + (5 - 3) + (4 - 0))
    assert float(smoothed) == pytest.approx(image_to_text + text_to_image + growth, rel=1e-5)


def test_contrastive_loss_of_equal_embeddings_is_that_of_chance() -> None:
    same = np.tile(np.asarray([[0.6, 0.8]], np.float32), (7, 1))
    for smoothing in (0.0, 0.1):
        total, count = contrastive_loss(same, same, 10.0, smoothing)
        assert float(total / count) == pytest.approx(2 * math.log(7), rel=1e-5)


def test_contrastive_loss_is_symmetric_and_its_gradients_are_right() -> None:
    rng = np.random.default_rng(0)
    image, text = rng.standard_normal((2, 5, 4)).astype(np.float32)
    there, _ = contrastive_loss(image, text, 3.0, 0.1)
    back, _ = contrastive_loss(text, image, 3.0, 0.1)
    assert float(there) == pytest.approx(float(back), rel=1e-6)
    with jax.enable_x64(True):
        # A plain rewrite in float64 (one-hot targets and log-softmax), differentiated numerically.
        def plain(image: np.ndarray, beta: float) -> float:
            logits = beta * image @ text.astype(np.float64).T
            target = 0.9 * np.eye(5) + 0.1 / 5
            log_z = np.log(np.exp(logits).sum(1, keepdims=True))
            log_z_back = np.log(np.exp(logits).sum(0, keepdims=True))
            return -(target * (logits - log_z)).sum() - (target * (logits - log_z_back)).sum()

        assert float(there) == pytest.approx(plain(image.astype(np.float64), 3.0), rel=1e-5)
        step = 1e-5
        moved = image.astype(np.float64)
        numeric = np.zeros_like(moved)
        for index in np.ndindex(*moved.shape):
            delta = np.zeros_like(moved)
            delta[index] = step
            numeric[index] = (plain(moved + delta, 3.0) - plain(moved - delta, 3.0)) / (2 * step)
        numeric_beta = (plain(moved, 3.0 + step) - plain(moved, 3.0 - step)) / (2 * step)
    loss = lambda image, beta: contrastive_loss(image, text, beta, 0.1)[0]  # noqa: E731
    gradient, gradient_beta = jax.grad(loss, (0, 1))(image, jnp.float32(3.0))
    np.testing.assert_allclose(gradient, numeric, atol=1e-4)
    assert float(gradient_beta) == pytest.approx(numeric_beta, rel=1e-4)


def test_contrastive_correct_counts_partners_found_first() -> None:
    image = np.eye(3, dtype=np.float32)
    text = np.asarray([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]], np.float32)
    correct, count = contrastive_correct(image, text)
    # Text 1 is nearest to image 0; image 1 is still nearest to text 1.
    assert {name: float(value) for name, value in correct.items()} == {
        "image_to_text": 3.0,
        "text_to_image": 2.0,
    }
    assert float(count) == 3.0


def _activations(seed: int = 0, length: int = 70) -> tuple[jax.Array, ...]:
    """Activations [3, T, 5], two parts of an embedding (7 and 2 ids), text, loss weights."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3, length, 5)).astype(np.float32)
    parts = [rng.standard_normal((rows, 5)).astype(np.float32) for rows in (7, 2)]
    text = rng.integers(0, 9, (3, length)).astype(np.int32)
    weight = (rng.integers(0, 3, (3, length)) / 2).astype(np.float32)
    return tuple(map(jnp.asarray, (x, *parts, text, weight)))


@pytest.mark.parametrize("length", [1, 9, 64, 70, 128, 131])
def test_loss_of_activations_and_all_its_gradients_are_those_of_the_logits(length: int) -> None:
    x, first, second, text, weight = _activations(length=length)

    def of_activations(x: jax.Array, *parts: jax.Array, weight: jax.Array) -> jax.Array:
        return 3 * next_token_loss_of_activations(x, parts, text, weight)[0]

    def of_logits(x: jax.Array, *parts: jax.Array, weight: jax.Array) -> jax.Array:
        return 3 * next_token_loss(x @ jnp.concatenate(parts).T, text, weight)[0]

    values = [
        jax.value_and_grad(loss, argnums=(0, 1, 2))(x, first, second, weight=weight)
        for loss in (of_activations, of_logits)
    ]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), *values)
    by_weight = [
        jax.grad(lambda w, loss=loss: loss(x, first, second, weight=w))(weight)
        for loss in (of_activations, of_logits)
    ]
    np.testing.assert_allclose(*by_weight, rtol=1e-5, atol=1e-5)
    _, count = next_token_loss_of_activations(x, (first, second), text, weight)
    assert float(count) == pytest.approx(float(weight[:, 1:].sum()))
    # Without a gradient the loss takes another way to the same number.
    assert float(of_activations(x, first, second, weight=weight)) == pytest.approx(
        float(values[0][0]), rel=1e-6
    )


def test_a_frozen_embedding_costs_no_product_for_its_gradient() -> None:
    x, first, second, text, weight = _activations()

    def products(argnums: tuple[int, ...]) -> int:
        def loss(x: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
            return next_token_loss_of_activations(x, (first, second), text, weight)[0]

        jaxpr = jax.make_jaxpr(jax.grad(loss, argnums=argnums))(x, first, second)
        return str(jaxpr).count("dot_general")

    # Two parts: logits and gradient of the activations each; then one more for each part.
    assert products((0,)) == 4
    assert products((0, 2)) == 5
    assert products((0, 1, 2)) == 6


def test_logits_of_one_chunk_alone_exist_at_a_time() -> None:
    length = 5 * CHUNK_LENGTH
    x, first, second, text, weight = _activations(length=length)

    def loss(x: jax.Array) -> jax.Array:
        return next_token_loss_of_activations(x, (first, second), text, weight)[0]

    text_of_jaxpr = str(jax.make_jaxpr(jax.grad(loss))(x))
    assert f"f32[3,{CHUNK_LENGTH},7]" in text_of_jaxpr
    assert f"f32[3,{length},7]" not in text_of_jaxpr
