"""The decoder: gates at zero, caches, groups, and which text position sees which picture."""

from __future__ import annotations

import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.config import CrossAttentionConfig
from flamingo_jax.core.paths import flatten, unflatten
from flamingo_jax.models import build
from flamingo_jax.models.cache import AnswerPlace, start_answers
from flamingo_jax.models.cross_attention import CrossAttention
from flamingo_jax.models.decoder_stacks import decoder_stacks
from flamingo_jax.models.language_model import Block, output_logits
from flamingo_jax.models.layers import linear
from flamingo_jax.models.layers.linear import PANELS
from flamingo_jax.models.layers.normalization import rms_norm
from flamingo_jax.models.masks import media_mask
from flamingo_jax.training.stages import regroup
from tests.models import tiny

# Functions, parameters, latents, text and media index of a model with open gates.
Opened = tuple[build.FlamingoFunctions, build.Params, jax.Array, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def opened() -> Opened:
    config = tiny.model_config()
    functions = build.build_flamingo(config)
    params = tiny.open_gates(tiny.parameters(functions.init))
    return functions, params, *tiny.example(config)


def with_language_model(params: build.Params, language_params: build.Params) -> build.Params:
    """Flamingo's parameters with those of a language model that stands alone put in."""
    leaves = flatten(params)
    frozen = {p: leaf for p, leaf in leaves.items() if "language_model" in p.split("/")}
    return unflatten(leaves | regroup(flatten(language_params), frozen))


@pytest.mark.parametrize(("num_layers", "every"), [(4, 2), (6, 3), (3, 1)])
def test_at_initialisation_logits_are_the_language_models_bit_for_bit(
    num_layers: int, every: int
) -> None:
    config = tiny.model_config(num_layers, every)
    flamingo = build.build_flamingo(config)
    language_model = build.build_language_model(config)
    language_params = tiny.parameters(language_model.init, seed=1)
    params = with_language_model(tiny.parameters(flamingo.init), language_params)
    latents, text, index = tiny.example(config)
    logits = jax.jit(flamingo.forward)(params, text, index, latents)
    expected = jax.jit(language_model.forward)(language_params, text)
    np.testing.assert_array_equal(logits[..., : tiny.VOCABULARY_SIZE], expected)
    assert logits.shape[-1] == tiny.VOCABULARY_SIZE + 1


def test_a_shorter_last_group_gives_the_same_function() -> None:
    # XLA unrolls a stack of one, so that the last bits may differ here.
    config = tiny.model_config(num_layers=5, every=2)
    stacks = decoder_stacks(5, CrossAttentionConfig(every=2))
    assert [stack[:3] for stack in stacks] == [("groups", 2, 2), ("last_group", 1, 1)]
    flamingo = build.build_flamingo(config)
    language_model = build.build_language_model(config)
    language_params = tiny.parameters(language_model.init, seed=1)
    params = with_language_model(tiny.parameters(flamingo.init), language_params)
    latents, text, index = tiny.example(config)
    logits = jax.jit(flamingo.forward)(params, text, index, latents)
    expected = jax.jit(language_model.forward)(language_params, text)
    np.testing.assert_allclose(logits[..., :-1], expected, atol=2e-6)


def test_open_gates_change_the_logits(opened: Opened) -> None:
    functions, params, latents, text, index = opened
    seeing = jax.jit(functions.forward)(params, text, index, latents)
    blind = jax.jit(functions.forward)(params, text, np.zeros_like(index), latents)
    assert np.abs(seeing - blind)[:, 0].max() < 1e-6  # the first tokens see no picture either way
    assert np.abs(seeing - blind)[:, -1].max() > 1e-2


def test_jacobian_shows_which_position_sees_which_picture(opened: Opened) -> None:
    """The gradient of logits at each position with respect to each picture, cross-attention only.

    A position's logits depend on picture phi directly and on earlier pictures through
    self-attention; never on later ones. With `num_layers` 1 only phi is left.
    """
    functions, params, latents, text, index = opened

    def strength(latents_BIRD: jax.Array) -> jax.Array:
        def row(t: jax.Array) -> jax.Array:
            def energy(latents: jax.Array) -> jax.Array:
                logits = functions.forward(params, text[:1], index[:1], latents)
                return jnp.sum(jnp.square(logits[0, t]))

            return jnp.abs(jax.grad(energy)(latents_BIRD)).sum(axis=(0, 2, 3))

        return jax.lax.map(row, jnp.arange(text.shape[1]))

    sees_TI = np.asarray(jax.jit(strength)(latents[:1])) > 1e-6
    allowed_TI = np.arange(1, latents.shape[1] + 1) <= index[0][:, None]
    print(
        "\nposition sees picture:\n"
        + "\n".join(f"{t:2d} phi={index[0, t]} {row.astype(int)}" for t, row in enumerate(sees_TI))
    )
    np.testing.assert_array_equal(sees_TI, allowed_TI)


def test_only_the_picture_of_phi_is_seen_in_one_layer() -> None:
    config = tiny.model_config(num_layers=1, every=1)
    functions = build.build_flamingo(config)
    params = tiny.open_gates(tiny.parameters(functions.init))
    latents, text, index = tiny.example(config, batch_size=1)
    forward = jax.jit(functions.forward)
    base = forward(params, text, index, latents)
    for picture in range(latents.shape[1]):
        changed = forward(params, text, index, latents.at[:, picture].add(1.0))
        differs_T = np.abs(changed - base).max(axis=-1)[0] > 1e-6
        first = np.flatnonzero(index[0] == picture + 1)[0]
        assert not differs_T[:first].any()
        assert differs_T[index[0] == picture + 1].all()


def test_cached_decoding_equals_the_full_forward_pass(opened: Opened) -> None:
    functions, params, latents, text, index = opened
    lengths = np.array([4, 6])
    index = index.copy()
    for row, length in enumerate(lengths):
        index[row, length:] = index[row, length - 1]  # Answers see the picture of the prompt's end.
    full = jax.jit(functions.forward)(params, text, index, latents)
    padded = np.where(np.arange(8) < lengths[:, None], text[:, :8], 0)
    logits, cache = jax.jit(functions.prefill, static_argnums=5)(
        params, padded, lengths, index[:, :8], latents, 8 + 5
    )
    answers = start_answers(cache, 5)
    go_on = jax.jit(functions.go_on)
    rows = np.arange(2)
    for step in range(5):
        np.testing.assert_allclose(logits, full[rows, lengths + step - 1], atol=1e-5)
        token = text[rows, lengths + step]
        place = tiny.next_place(2, step, 5)
        logits, answers = go_on(params, token[:, None], place, cache, answers)
        logits = logits[:, 0]


def test_answers_in_one_row_do_not_see_each_other(opened: Opened) -> None:
    """Two answers of two tokens each, all at once, are what they are alone."""
    functions, params, latents, text, index = opened
    lengths = np.array([5, 5])
    answers_of_row = np.array([[7, 9, 8, 9], [6, 5, 6, 7]])  # slots: answer 1, answer 1, 2, 2
    _, cache = functions.prefill(params, text[:, :5], lengths, index[:, :5], latents, 8)
    distance = np.array([[0, -1, -1, -1], [1, 0, -1, -1], [-1, -1, 0, -1], [-1, -1, 1, 0]])
    place = AnswerPlace(
        depth=np.tile([0, 1, 0, 1], (2, 1)), distance=np.tile(distance, (2, 1, 1)), slot=0
    )
    together, _ = functions.go_on(params, answers_of_row, place, cache, start_answers(cache, 4))
    for start in (0, 2):
        whole = np.concatenate([text[:, :5], answers_of_row[:, start : start + 2]], axis=1)
        phi = np.concatenate([index[:, :5], np.repeat(index[:, 4:5], 2, axis=1)], axis=1)
        alone = functions.forward(params, whole, phi, latents)[:, 5:]
        np.testing.assert_allclose(together[:, start : start + 2], alone, atol=1e-5)


def test_layers_apart_are_views_and_give_the_same(opened: Opened) -> None:
    functions, params, latents, text, index = opened
    apart = functions.layers_apart(params)
    stacked = params["groups/language_model/block/feed_forward/hidden"]["w"]
    one = apart["groups_1/language_model_0/block/feed_forward/hidden"]["w"]
    np.testing.assert_array_equal(one, stacked[1, 0])
    lengths = np.array([8, 5])
    arguments = (text[:, :8], lengths, index[:, :8], latents, 9)
    expected, _ = functions.prefill(params, *arguments)
    logits, _ = functions.prefill(apart, *arguments)
    np.testing.assert_allclose(logits, expected, atol=1e-6)


def test_matrices_of_answers_are_in_panels_besides_and_those_of_prompts_alone_are_not(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions, params, latents, text, index = opened
    monkeypatch.setattr(linear, "_SMALLEST_MATRIX", 1)
    monkeypatch.setattr(linear, "_FEWEST_PARTS", 1)
    apart = functions.layers_apart(params)
    layers = {path for path, leaves in apart.items() if "w" in leaves and path.startswith("groups")}
    in_panels = {path for path in layers if PANELS.format(0) in apart[path]}
    assert {"/".join(path.split("/")[-2:]) for path in layers - in_panels} == {
        "cross_attention/key", "cross_attention/value", "attention/relative_position",
    }  # fmt: skip
    lengths = np.array([8, 5])
    _, cache = functions.prefill(apart, text[:, :8], lengths, index[:, :8], latents, 9)
    place = AnswerPlace(jnp.zeros((2, 1), jnp.int32), jnp.zeros((2, 1, 1), jnp.int32), jnp.int32(0))
    arguments = (text[:, 8:9], place, cache, start_answers(cache, 1))
    expected, _ = functions.go_on(apart, *arguments)
    for path in in_panels:
        apart[path].pop("w")  # Answers do not read it.
    logits, _ = functions.go_on(apart, *arguments)
    np.testing.assert_array_equal(logits, expected)
    _, cache = functions.prefill(params, text[:, :8], lengths, index[:, :8], latents, 9)
    whole, _ = functions.go_on(params, text[:, 8:9], place, cache, start_answers(cache, 1))
    np.testing.assert_allclose(logits, whole, atol=1e-5)


def test_stacks_equal_a_python_loop_over_the_layers(opened: Opened) -> None:
    """Scan = loop: one-layer decoders applied in turn give what the nested stacks give."""
    functions, params, latents, text, index = opened
    config = tiny.model_config(num_layers=4, every=2)
    expected = jax.jit(functions.forward)(params, text, index, latents)

    block = hk.without_apply_rng(
        hk.transform(lambda x: Block(config.language_model, name="block")(x)[0])
    )
    cross = hk.without_apply_rng(
        hk.transform(
            lambda x, mask, media: CrossAttention(config.cross_attention, name="cross_attention")(
                x, mask, media
            )[0]
        )
    )

    def part(prefix: str, *indices: int) -> build.Params:
        return {
            module.removeprefix(prefix): {n: leaf[indices] for n, leaf in leaves.items()}
            for module, leaves in params.items()
            if module.startswith(prefix)
        }

    ends = params["language_model"]
    rows = jnp.concatenate([ends["embedding"], params["extra_embeddings"]["end_of_chunk"]])
    B, I, R, D = latents.shape
    media = latents.reshape(B, I * R, D) @ params["media_projection"]["w"]
    mask = media_mask(jnp.asarray(index), I, R)
    x = rows[text]
    for group in range(2):
        x = cross.apply(part("groups/", group), x, mask, media)
        for layer in range(2):
            x = block.apply(part("groups/language_model/", group, layer), x)
    logits = output_logits(rms_norm(x, ends["final_norm_scale"]), rows)
    np.testing.assert_allclose(logits, expected, atol=2e-5)


def test_depth_does_not_make_the_program_longer() -> None:
    """Stacks are loops, forward and backward, so that the compiler's work stays the same."""

    def num_lines(num_layers: int, num_resampler_layers: int) -> int:
        config = tiny.model_config(num_layers=num_layers)
        assert config.resampler is not None
        resampler = dataclasses.replace(config.resampler, num_layers=num_resampler_layers)
        functions = build.build_flamingo(dataclasses.replace(config, resampler=resampler))
        params = jax.eval_shape(functions.init, tiny.key())
        _, text, index = tiny.example(config)
        width = params["resampler/input_projection"]["w"].shape[0]

        def loss(params: build.Params, features: jax.Array) -> jax.Array:
            latents = functions.resample(params, features)
            return jnp.sum(functions.forward(params, text, index, latents))

        features = jax.ShapeDtypeStruct((2, 3, 1, 5, width), jnp.float32)
        return jax.jit(jax.grad(loss)).lower(params, features).as_text().count("\n")

    assert num_lines(8, 2) == num_lines(16, 4)
