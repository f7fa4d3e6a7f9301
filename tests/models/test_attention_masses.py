"""How much a prompt's last token attends to each picture, against the layers written in NumPy."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from flamingo_jax.config import CrossAttentionConfig, ModelConfig
from flamingo_jax.core.paths import flatten, unflatten
from flamingo_jax.models import build
from flamingo_jax.models.attention_masses import AttentionMasses
from tests.models import tiny

N, K = 2, 12  # heads of all attention layers, and their width
NUM_MEDIA = 3
LENGTHS = np.array([11, 7])
# Some text in front, then three pictures; the second row is shorter.
PHI = np.array(
    [[0, 0, 1, 1, 2, 2, 2, 3, 3, 3, 3], [0, 1, 1, 1, 2, 3, 3, 0, 0, 0, 0]], np.int32
)  # fmt: skip

WAYS: dict[str, dict[str, Any]] = {
    "last picture": {},
    "all previous": {"attend_to": "all_previous_images"},
    "no gate": {"tanh_gate": False},
}


def make_config(**fields: Any) -> ModelConfig:
    config = tiny.model_config(num_layers=2, every=1)
    given: dict[str, Any] = {"every": 1, "num_heads": N, "head_dim": K} | fields
    return dataclasses.replace(config, cross_attention=CrossAttentionConfig(**given))


def drawn(functions: build.FlamingoFunctions, gate: float = 0.7) -> build.Params:
    """Parameters away from where they start, biases and scales too."""
    random = np.random.default_rng(3)
    leaves = {}
    for path, leaf in flatten(tiny.parameters(functions.init)).items():
        moved = np.asarray(leaf + random.normal(0.0, 0.3, leaf.shape), np.float32)
        leaves[path] = np.full_like(leaf, gate) if path.endswith("gate") else moved
    return unflatten(leaves)


def masses(
    functions: build.FlamingoFunctions,
    params: build.Params,
    latents: Any,
    text: np.ndarray,
    phi: np.ndarray = PHI,
    lengths: np.ndarray = LENGTHS,
) -> AttentionMasses:
    def run(params: build.Params) -> AttentionMasses:
        _, cache = functions.prefill(params, text, lengths, phi, latents, text.shape[1] + 2)
        return functions.attention_masses(params, text, phi, cache, latents.shape[1])

    found: AttentionMasses = jax.tree.map(np.asarray, jax.jit(run)(params))
    return found


class Plain:
    """One prompt through the layers of `make_config`: every token, every pair, in float64."""

    def __init__(self, config: ModelConfig, params: build.Params) -> None:
        assert config.language_model is not None and config.cross_attention is not None
        self.language_model, self.cross = config.language_model, config.cross_attention
        self.leaves = {p: np.asarray(leaf, np.float64) for p, leaf in flatten(params).items()}

    def masses(self, latents_IRD: Any, text_T: np.ndarray, phi_T: np.ndarray) -> list[np.ndarray]:
        """The fields of `AttentionMasses` for its last token."""
        tables = ("language_model/embedding", "extra_embeddings/end_of_chunk")
        x_TD = np.concatenate([self.leaves[name] for name in tables])[text_T]
        media_MD = np.concatenate(latents_IRD) @ self.leaves["media_projection/w"]
        owner_M = np.repeat(np.arange(1, NUM_MEDIA + 1), len(media_MD) // NUM_MEDIA)
        sees_TM = owner_M == phi_T[:, None]
        if self.cross.attend_to == "all_previous_images":
            sees_TM = owner_M <= phi_T[:, None]
        layers = []
        for layer in range(2):
            cross = _Layer(self.leaves, "groups/cross_attention", (layer,))
            weights_M, added_TD = cross.look(x_TD, media_MD, sees_TM)
            change = np.linalg.norm(added_TD[-1]) / np.linalg.norm(x_TD[-1])
            x_TD = x_TD + added_TD
            x_TD = x_TD + cross.gate("feed_forward_gate") * cross.dense(
                cross.layer_norm("feed_forward_norm", x_TD), lambda x: np.maximum(x, 0) ** 2
            )
            block = _Layer(self.leaves, "groups/language_model/block", (layer, 0))
            weights_T, x_TD = block.block(x_TD, self._sinusoids(len(x_TD)))
            layers.append((
                _by(owner_M, weights_M, range(1, NUM_MEDIA + 1)),
                change,
                _by(phi_T, weights_T, range(NUM_MEDIA + 1)),
            ))  # fmt: skip
        return [np.mean(part, axis=0) for part in zip(*layers, strict=True)]

    def _sinusoids(self, T: int) -> np.ndarray:
        """[T, T, D], of how far each key stands before each query."""
        config = self.language_model
        distance_TT = np.maximum(np.arange(T)[:, None] - np.arange(T), 0)
        exponent = np.arange(0, config.width, 2) / config.width
        ratio = config.longest_period / config.shortest_period
        angle = distance_TT[..., None] * 2 * np.pi / config.shortest_period * ratio**-exponent
        return np.concatenate([np.sin(angle), np.cos(angle)], axis=-1)


class _Layer:
    """One layer out of the stacks."""

    def __init__(self, leaves: dict[str, np.ndarray], name: str, index: tuple[int, ...]) -> None:
        self.own = {
            path.removeprefix(f"{name}/"): leaf[index]
            for path, leaf in leaves.items() if path.startswith(f"{name}/")
        }  # fmt: skip

    def look(self, x_TD: Any, media_MD: Any, sees_TM: Any) -> tuple[np.ndarray, np.ndarray]:
        """Weights of the last token [M], and what is added to all tokens."""
        media = self.layer_norm("media_norm", media_MD)
        query = self.linear("query", self.layer_norm("query_norm", x_TD))
        key, value = self.linear("key", media), self.linear("value", media)
        weights_M, attended = _attend(query, key, value, 0.0, sees_TM)
        return weights_M, self.gate("attention_gate") * self.linear("output", attended)

    def block(self, x_TD: Any, sinusoid_TTD: Any) -> tuple[np.ndarray, np.ndarray]:
        """Weights of the last token [T], and the block's output."""
        T = len(x_TD)
        normed = self.rms_norm("attention_norm", x_TD)
        query, key, value = (
            self.linear(f"attention/{part}", normed) for part in ("query", "key", "value")
        )
        place = self.linear("attention/relative_position", sinusoid_TTD).reshape(T, T, N, K)
        place_query = (query + self.own["attention/position_bias"]).reshape(T, N, K)
        weights_T, attended = _attend(
            query + self.own["attention/content_bias"], key, value,
            np.einsum("tnk,tsnk->nts", place_query, place), np.tri(T, dtype=bool),
        )  # fmt: skip
        x_TD = x_TD + self.linear("attention/output", attended)
        normed = self.rms_norm("feed_forward_norm", x_TD)
        return weights_T, x_TD + self.dense(normed, lambda x: np.asarray(jax.nn.gelu(x)))

    def linear(self, name: str, x: Any) -> np.ndarray:
        product: np.ndarray = x @ self.own[f"{name}/w"] + self.own.get(f"{name}/b", 0.0)
        return product

    def dense(self, x: Any, activation: Any) -> np.ndarray:
        hidden = activation(self.linear("feed_forward/hidden", x))
        return self.linear("feed_forward/output", hidden)

    def gate(self, name: str) -> float:
        return float(np.tanh(self.own[name])) if name in self.own else 1.0

    def rms_norm(self, name: str, x: Any) -> Any:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * self.own[f"{name}/scale"]

    def layer_norm(self, name: str, x: Any) -> Any:
        return self.rms_norm(name, x - x.mean(-1, keepdims=True)) + self.own[f"{name}/offset"]


def _attend(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, place_NTS: Any, sees_TS: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The last token's weights [S], a mean over heads, and what all tokens get [T, N*K]."""
    query, key, value = (x.reshape(len(x), N, K) for x in (query, key, value))
    logits = (np.einsum("tnk,snk->nts", query, key) + place_NTS) / np.sqrt(K)
    weights = np.exp(logits) * sees_TS
    weights /= np.maximum(weights.sum(axis=-1, keepdims=True), 1e-30)
    attended = np.einsum("nts,snk->tnk", weights, value).reshape(len(query), N * K)
    return weights[:, -1].mean(axis=0), attended


def _by(owner_S: np.ndarray, weights_S: np.ndarray, owners: Any) -> list[float]:
    return [float(weights_S[owner_S == owner].sum()) for owner in owners]


@pytest.mark.parametrize("way", WAYS)
def test_masses_are_those_of_the_layers_in_numpy(way: str) -> None:
    config = make_config(**WAYS[way])
    functions = build.build_flamingo(config)
    params = drawn(functions)
    latents, text, _ = tiny.example(config, num_media=NUM_MEDIA)
    plain = Plain(config, params)
    for some in (params, functions.layers_apart(jax.tree.map(jax.numpy.asarray, params))):
        found = masses(functions, some, latents, text)
        for row, length in enumerate(LENGTHS):
            expected = plain.masses(latents[row], text[row, :length], PHI[row, :length])
            for field, value in zip(found, expected, strict=True):
                np.testing.assert_allclose(field[row], value, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.pictures.sum(axis=1), 1.0, rtol=1e-5)
        np.testing.assert_allclose(found.text.sum(axis=1), 1.0, rtol=1e-5)
        assert found.text.min() > 0.003 and found.change.min() > 0.05  # else little was compared
        others = found.pictures[:, :-1]
        assert (others.min() > 0.003) if way == "all previous" else (others == 0).all()


def test_closed_gates_change_nothing() -> None:
    functions = build.build_flamingo(make_config())
    latents, text, _ = tiny.example(make_config(), num_media=NUM_MEDIA)
    found = masses(functions, drawn(functions, gate=0.0), latents, text)
    assert (found.change == 0).all()
    np.testing.assert_allclose(found.pictures[:, -1], 1.0, rtol=1e-6)


def test_who_sees_no_picture_looks_at_none() -> None:
    functions = build.build_flamingo(make_config())
    latents, text, _ = tiny.example(make_config(), num_media=NUM_MEDIA)
    found = masses(functions, drawn(functions), latents, text, PHI * 0)
    assert (found.pictures == 0).all() and (found.change == 0).all()
    np.testing.assert_allclose(found.text, [[1, 0, 0, 0]] * 2, atol=1e-6)


@pytest.mark.parametrize("way", ["last picture", "all previous"])
def test_shots_that_change_places_take_their_masses_along(way: str) -> None:
    """Where positions do not matter: one layer, and position keys of 0."""
    config = make_config(**WAYS[way])
    assert config.language_model is not None
    language_model = dataclasses.replace(config.language_model, num_layers=1)
    config = dataclasses.replace(config, language_model=language_model)
    functions = build.build_flamingo(config)
    params = unflatten({
        path: leaf * 0 if path.endswith("relative_position/w") else leaf
        for path, leaf in flatten(drawn(functions)).items()
    })  # fmt: skip
    latents, text, _ = tiny.example(config, num_media=NUM_MEDIA)
    lengths = np.array([11, 11])
    phi = np.array([[0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3]] * 2, np.int32)
    here = masses(functions, params, latents, text, phi, lengths)
    order = [0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10]
    swapped = latents[:, np.array([1, 0, 2])]
    there = masses(functions, params, swapped, text[:, order], phi, lengths)
    if way == "all previous":  # There, what a shot's text hears of pictures depends on its place.
        before, after = here.pictures, there.pictures[:, [1, 0, 2]]
    else:
        before, after = here.text[:, 1:], there.text[:, [2, 1, 3]]
    np.testing.assert_allclose(before, after, rtol=1e-4)
    assert np.abs(before[:, 0] - before[:, 1]).min() > 1e-3


@pytest.mark.parametrize(
    "fields", [{"placement": "middle"}, {"conditioning": "grafting", "num_grafted": 2}]
)
def test_every_list_of_stacks_can_be_watched(fields: dict[str, Any]) -> None:
    config = make_config(**fields)
    functions = build.build_flamingo(config)
    latents, text, _ = tiny.example(config, num_media=NUM_MEDIA)
    params = drawn(functions)
    found = masses(functions, params, latents, text)
    apart = functions.layers_apart(jax.tree.map(jax.numpy.asarray, params))
    for stacked, single in zip(found, masses(functions, apart, latents, text), strict=True):
        np.testing.assert_allclose(stacked, single, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.text.sum(axis=1), 1.0, rtol=1e-5)
    assert found.change.min() > 0.01
