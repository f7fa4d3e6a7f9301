"""Ways of conditioning the language model: what each computes, caches, and has parameters for."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.config import CrossAttentionConfig, MeshConfig, ModelConfig
from flamingo_jax.config_model import REMAT_POLICIES
from flamingo_jax.core.paths import flatten, unflatten
from flamingo_jax.models import build
from flamingo_jax.models.cache import start_answers
from flamingo_jax.models.decoder_stacks import decoder_stacks
from flamingo_jax.sharding.mesh import make_mesh
from flamingo_jax.sharding.rules import parameter_shardings
from flamingo_jax.training.stages import regroup
from tests.models import tiny

WAYS: dict[str, dict[str, Any]] = {
    "every second": {"every": 2},
    "vanilla": {"every": 2, "conditioning": "vanilla_xattn"},
    "middle": {"placement": "middle"},
    "grafting": {"conditioning": "grafting", "num_grafted": 2},
    "all previous": {"every": 2, "attend_to": "all_previous_images"},
    "no gate": {"every": 2, "tanh_gate": False},
}


APART = ("grafting", "middle")
"""Ways that are decoded with the layers apart as well: between them they have every stack."""


def make_config(way: str, num_layers: int = 5) -> ModelConfig:
    config = tiny.model_config(num_layers)
    cross_attention = CrossAttentionConfig(num_heads=2, head_dim=12, **WAYS[way])
    return dataclasses.replace(config, cross_attention=cross_attention)


@pytest.mark.parametrize("way", WAYS)
def test_cached_decoding_equals_the_full_forward_pass(way: str) -> None:
    config = make_config(way)
    functions = build.build_flamingo(config)
    params = tiny.open_gates(tiny.parameters(functions.init))
    latents, text, index = tiny.example(config)
    index[:, 6:] = index[:, 5:6]  # An answer sees the picture of its prompt's end.
    full = jax.jit(functions.forward)(params, text, index, latents)
    length = np.array([6, 6])
    for some in (params, functions.layers_apart(params)) if way in APART else (params,):
        logits, cache = jax.jit(functions.prefill, static_argnums=5)(
            some, text[:, :6], length, index[:, :6], latents, text.shape[1]
        )
        answers = start_answers(cache, text.shape[1] - 6)
        go_on = jax.jit(functions.go_on)
        for step in range(text.shape[1] - 6):
            np.testing.assert_allclose(logits, full[:, 5 + step], atol=2e-5)
            place = tiny.next_place(2, step, text.shape[1] - 6)
            logits, answers = go_on(some, text[:, 6 + step][:, None], place, cache, answers)
            logits = logits[:, 0]


@pytest.mark.parametrize("way", ["every second", "vanilla", "middle", "all previous"])
def test_closed_gates_leave_the_language_model_as_it_is(way: str) -> None:
    config = make_config(way)
    flamingo, alone = build.build_flamingo(config), build.build_language_model(config)
    language_params = tiny.parameters(alone.init, seed=1)
    leaves = flatten(tiny.parameters(flamingo.init))
    frozen = {path: leaf for path, leaf in leaves.items() if "language_model" in path.split("/")}
    params = unflatten(leaves | regroup(flatten(language_params), frozen))
    latents, text, index = tiny.example(config)
    logits = jax.jit(flamingo.forward)(params, text, index, latents)
    expected = jax.jit(alone.forward)(language_params, text)
    np.testing.assert_allclose(logits[..., :-1], expected, atol=3e-6)
    # Without gates the new layers speak from the start.
    ungated = build.build_flamingo(make_config("no gate"))
    changed = jax.jit(ungated.forward)(tiny.parameters(ungated.init), text, index, latents)
    assert np.abs(changed[..., :-1] - expected).max() > 1e-2


@pytest.mark.parametrize("way", WAYS)
def test_text_without_pictures_is_as_text_in_front_of_the_first_picture(way: str) -> None:
    """The feed-forward blocks of the new layers run all the same."""
    config = make_config(way, num_layers=2)
    functions = build.build_flamingo(config)
    params = tiny.open_gates(tiny.parameters(functions.init))
    latents, text, index = tiny.example(config)
    expected = jax.jit(functions.activations)(params, text, np.zeros_like(index), latents)[0]
    without = jax.jit(functions.text_activations)
    found = without(params, text)[0]
    np.testing.assert_allclose(found, expected, atol=2e-6)
    closed = {
        path: {n: leaf * (not n.endswith("feed_forward_gate")) for n, leaf in leaves.items()}
        for path, leaves in params.items()
    }
    feed_forward_matters = np.abs(without(closed, text)[0] - found).max() > 1e-2
    assert bool(feed_forward_matters) is (way not in ("vanilla", "no gate"))


def test_text_without_pictures_gives_the_gradient_of_text_in_front_of_the_first_picture() -> None:
    config = make_config("every second", num_layers=2)
    functions = build.build_flamingo(config)
    params = tiny.open_gates(tiny.parameters(functions.init))
    params = {path: leaf for path, leaf in params.items() if "vision_encoder" not in path}
    latents, text, index = tiny.example(config)

    def gradient(activations: Callable[[Any], Any]) -> dict[str, Any]:
        loss = jax.grad(lambda params: jnp.sum(jnp.sin(activations(params)[0])))
        return dict(flatten(jax.jit(loss)(params)))

    expected = gradient(
        lambda params: functions.activations(params, text, np.zeros_like(index), latents)
    )
    found = gradient(lambda params: functions.text_activations(params, text))
    largest = max(np.abs(leaf).max() for leaf in expected.values())
    for path, leaf in expected.items():
        np.testing.assert_allclose(found[path], leaf, rtol=1e-4, atol=1e-6 * largest, err_msg=path)
    assert np.abs(found["groups/cross_attention/feed_forward_gate"]).max() > 1e-3 * largest
    assert not np.abs(found["groups/cross_attention/attention_gate"]).any()


def seen_pictures(way: str) -> np.ndarray:
    """Which picture changes the logits of which token, in a decoder of one cross-attention."""
    config = make_config(way, num_layers=1)
    functions = build.build_flamingo(config)
    params = tiny.open_gates(tiny.parameters(functions.init))
    # No text but one token reaches a token: what is seen is seen by cross-attention.
    params = jax.tree_util.tree_map_with_path(
        lambda keys, leaf: leaf * ("block/attention/output" not in str(keys[0])), params
    )
    latents, text, index = tiny.example(config, batch_size=1)
    forward = jax.jit(functions.forward)
    base = forward(params, text, index, latents)
    rows = [
        np.abs(forward(params, text, index, latents.at[:, picture].add(1.0)) - base).max(-1)[0]
        for picture in range(latents.shape[1])
    ]
    return np.stack(rows, axis=1) > 1e-6


def test_a_token_sees_the_last_picture_or_all_before_it() -> None:
    _, _, index = tiny.example(tiny.model_config())
    picture = np.arange(1, 4)
    index_T1 = index[0][:, None]
    np.testing.assert_array_equal(seen_pictures("all previous"), picture <= index_T1)
    np.testing.assert_array_equal(seen_pictures("every second"), picture == index_T1)


def test_stacks_of_every_way() -> None:
    def names(way: str) -> list[tuple[str, int, int]]:
        config = make_config(way).cross_attention
        assert config is not None
        return [stack[:3] for stack in decoder_stacks(5, config)]

    assert names("every second") == [("groups", 2, 2), ("last_group", 1, 1)]
    assert names("middle") == [("leading_blocks", 1, 2), ("groups", 1, 3)]
    assert names("grafting") == [("leading_blocks", 1, 5), ("grafted", 2, 0)]


@pytest.mark.parametrize("way", WAYS)
def test_parameters_are_those_of_the_way_and_the_sharding_rules_cover_them(way: str) -> None:
    functions = build.build_flamingo(make_config(way))
    abstract = jax.eval_shape(functions.init, tiny.key())
    paths = set(flatten(abstract))
    parameter_shardings(make_mesh(MeshConfig(model=2)), abstract)  # raises where one is uncovered
    has_gate = any(path.endswith("gate") for path in paths)
    has_feed_forward = any(re.search("cross_attention/feed_forward/", path) for path in paths)
    has_own_blocks = any(path.startswith("grafted/block/attention/") for path in paths)
    assert has_gate is (way != "no gate")
    assert has_feed_forward is (way != "vanilla")
    assert has_own_blocks is (way == "grafting")


@pytest.mark.parametrize("kind", ["mlp", "transformer"])
def test_flamingo_works_with_every_resampler(kind: str) -> None:
    config = tiny.model_config()
    assert config.resampler is not None
    resampler = dataclasses.replace(
        config.resampler, kind=kind, mlp_width=20 if kind == "mlp" else 0
    )
    config = dataclasses.replace(config, resampler=resampler)
    functions = build.build_flamingo(config)
    params = tiny.open_gates(tiny.parameters(functions.init))
    media = jax.ShapeDtypeStruct((2, 3, 1, 32, 32, 3), np.uint8)
    shape = jax.eval_shape(functions.encode_features, params, media).shape
    features = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    latents = functions.resample(params, features)
    assert latents.shape == (2, 3, resampler.num_latents, resampler.width)
    swapped = functions.resample(params, features[:, ::-1])
    np.testing.assert_allclose(swapped[:, ::-1], latents, atol=1e-5)
    assert np.abs(swapped - latents).max() > 1e-2


@functools.cache
def gradient(policy: str) -> tuple[Any, str]:
    """The gradient of a loss under a policy of recomputation, and the traced loss."""
    config = dataclasses.replace(make_config("every second", num_layers=4), remat=policy)
    functions = build.build_flamingo(config)
    params = tiny.open_gates(tiny.parameters(functions.init))
    decoder = {path: leaf for path, leaf in params.items() if "vision_encoder" not in path}
    latents, text, index = tiny.example(config)

    def loss(params: Any) -> jax.Array:
        return jnp.sum(jnp.square(functions.forward(params, text, index, latents)))

    return jax.jit(jax.grad(loss))(decoder), str(jax.make_jaxpr(loss)(decoder))


@pytest.mark.parametrize(("policy", "count"), [("dots", 2), ("layer", 2), ("group", 3)])
def test_recomputation_changes_no_gradient(policy: str, count: int) -> None:
    """And it is there: a policy by a name that nothing bears would do nothing in silence."""
    (expected, plain), (found, program) = gradient("none"), gradient(policy)
    largest = max(np.abs(leaf).max() for leaf in flatten(expected).values())
    for path, leaf in flatten(expected).items():
        np.testing.assert_allclose(
            flatten(found)[path], leaf, rtol=1e-4, atol=1e-6 * largest, err_msg=path
        )
    assert plain.count("= remat") + plain.count("= checkpoint") == 0
    assert program.count("= remat") + program.count("= checkpoint") == count


def test_every_policy_of_recomputation_is_tested() -> None:
    assert {"none", "dots", "layer", "group"} == set(REMAT_POLICIES)
