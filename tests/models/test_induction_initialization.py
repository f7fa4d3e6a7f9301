"""The induction initialisation finds repeated tokens before any training."""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from flamingo_jax.config import LanguageModelConfig, ModelConfig
from flamingo_jax.core.paths import flatten
from flamingo_jax.models import build

STANDARD = LanguageModelConfig(
    num_layers=2,
    width=128,
    num_heads=4,
    head_dim=32,
    vocabulary_size=500,
    shortest_period=2.0,
    longest_period=512.0,
)
INDUCTION = dataclasses.replace(STANDARD, initialization="induction")


def repeated_accuracy(config: LanguageModelConfig) -> float:
    """Share of tokens of the second half of a text, equal to the first, that are the likeliest of
    all tokens in the text."""
    functions = build.build_language_model(ModelConfig(language_model=config))
    params = functions.init(jax.random.key(0))
    random = np.random.default_rng(0)
    rows, period = 16, 20
    first_BT = np.stack([random.permutation(500)[:period] for _ in range(rows)])
    text_BT = np.concatenate([first_BT, first_BT], axis=1)
    logits_BTV = np.asarray(jax.jit(functions.forward)(params, text_BT))
    hits = 0
    for row in range(rows):
        among_TS = logits_BTV[row, period:-1][:, first_BT[row]]
        hits += np.sum(first_BT[row][among_TS.argmax(-1)] == text_BT[row, period + 1 :])
    return hits / (rows * (period - 1))


def test_repeated_tokens_are_found_before_any_training() -> None:
    assert repeated_accuracy(STANDARD) < 0.15
    assert repeated_accuracy(INDUCTION) > 0.4


def test_shapes_and_names_stay() -> None:
    def shapes(config: LanguageModelConfig) -> dict[str, tuple]:
        functions = build.build_language_model(ModelConfig(language_model=config))
        leaves = flatten(jax.eval_shape(functions.init, jax.random.key(0)))
        return {path: (leaf.shape, leaf.dtype) for path, leaf in leaves.items()}

    assert shapes(STANDARD) == shapes(INDUCTION)
