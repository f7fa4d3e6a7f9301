"""The Chinchilla block: causality, relative positions, published parameter counts."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.config import LanguageModelConfig, ModelConfig
from flamingo_jax.core.paths import flatten
from flamingo_jax.models import build
from flamingo_jax.models.layers import relative_position
from tests.models import tiny

# Layers, width, heads, head size, printed billions (paper.md 1.5: Chinchilla, table A9).
PUBLISHED = [
    (8, 512, 8, 64, 0.044),
    (12, 768, 12, 64, 0.117),
    (18, 1280, 10, 128, 0.425),
    (24, 2048, 16, 128, 1.4),
    (32, 4096, 32, 128, 7.1),
    (80, 8192, 64, 128, 70.0),
]


@pytest.mark.parametrize(("layers", "width", "heads", "head_dim", "billions"), PUBLISHED)
def test_parameter_counts_round_to_the_published_ones(
    layers: int, width: int, heads: int, head_dim: int, billions: float
) -> None:
    config = LanguageModelConfig(
        num_layers=layers,
        width=width,
        num_heads=heads,
        head_dim=head_dim,
        vocabulary_size=32_000,
    )
    functions = build.build_language_model(ModelConfig(language_model=config))
    shapes = flatten(jax.eval_shape(functions.init, tiny.key()))
    count = sum(leaf.size for leaf in shapes.values())
    digits = 3 if billions < 1 else 1 if billions < 70 else 0
    assert round(count / 1e9, digits) == billions
    norms = sum(leaf.size for path, leaf in shapes.items() if "norm" in path)
    inner = heads * head_dim
    formula = layers * (5 * width * inner + 8 * width**2 + 5 * inner + 6 * width) + 32_000 * width
    assert count - norms == formula


def test_no_position_sees_a_later_token() -> None:
    functions = build.build_language_model(tiny.model_config())
    params = tiny.parameters(functions.init)
    _, text, _ = tiny.example(tiny.model_config())
    base = functions.forward(params, text)
    changed = text.copy()
    changed[:, 6] += 1
    differs_T = np.abs(functions.forward(params, changed) - base).max(axis=(0, 2)) > 1e-7
    np.testing.assert_array_equal(differs_T, np.arange(text.shape[1]) >= 6)


def test_only_distances_matter() -> None:
    """Logits of a suffix do not change when the whole text moves: the first token apart, whose
    tokens before it differ, nothing knows where the text begins."""
    functions = build.build_language_model(tiny.model_config(num_layers=1))
    params = tiny.parameters(functions.init)
    _, text, _ = tiny.example(tiny.model_config(), length=6)
    doubled = np.concatenate([text, text], axis=1)
    first = functions.forward(params, text)
    second = functions.forward(params, doubled)
    np.testing.assert_allclose(second[:, :6], first, atol=1e-6)


def test_logits_by_key_by_definition() -> None:
    """Of queries at the last positions of all keys."""
    random = np.random.default_rng(0)
    B, T, S, N, K = 2, 3, 5, 2, 4
    query = random.normal(size=(B, T, N, K)).astype(np.float32)
    relative = random.normal(size=(S, N, K)).astype(np.float32)  # Of the distances S-1 to 0.
    found = np.asarray(relative_position.logits_by_key(jnp.asarray(query), jnp.asarray(relative)))
    assert found.shape == (B, N, T, S)
    for i in range(T):
        for j in range(S - T + i + 1):
            distance = S - T + i - j
            expected = np.einsum("bnk,nk->bn", query[:, i], relative[S - 1 - distance])
            np.testing.assert_allclose(found[:, :, i, j], expected, rtol=1e-5, atol=1e-6)


def test_gather_to_keys_agrees_with_logits_by_key() -> None:
    random = np.random.default_rng(0)
    T = 6
    query = jnp.asarray(random.normal(size=(2, T, 3, 4)), jnp.float32)
    relative = jnp.asarray(random.normal(size=(T, 3, 4)), jnp.float32)
    by_key = relative_position.logits_by_key(query, relative)
    distance_TT = jnp.arange(T)[:, None] - jnp.arange(T)
    gathered = relative_position.gather_to_keys(
        jnp.einsum("btnk,cnk->bntc", query, relative), jnp.stack([distance_TT] * 2)
    )
    causal = np.tril(np.ones((T, T), bool))
    np.testing.assert_allclose(
        np.where(causal, gathered, 0), np.where(causal, by_key, 0), atol=1e-6
    )


def test_sinusoid_has_the_periods_of_transformer_xl_by_default() -> None:
    width = 8
    config = tiny.model_config().language_model
    table = relative_position.sinusoid(
        jnp.arange(4), width, config.shortest_period, config.longest_period
    )
    frequency = 10_000.0 ** (-np.arange(0, width, 2) / width)
    angle = np.arange(4)[:, None] * frequency
    np.testing.assert_allclose(table, np.concatenate([np.sin(angle), np.cos(angle)], 1), atol=1e-5)
