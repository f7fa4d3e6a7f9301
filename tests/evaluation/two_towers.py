"""Contrastive models for tests: a tiny random one, and one that knows its pictures and texts."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from flamingo_jax.config import MeshConfig, ModelConfig, TextTowerConfig, VisionConfig
from flamingo_jax.data import vocabulary
from flamingo_jax.evaluation.contrastive import TwoTowerModel
from flamingo_jax.models.build import TwoTowerFunctions, build_two_tower
from flamingo_jax.sharding.mesh import make_mesh
from tests.models import tiny

WORLD = vocabulary.load("world")
IMAGE_SIZE = 32
MAX_TEXT_LENGTH = 96
CHECKPOINT = "contrastive/7/0123456789abcdef"


@functools.cache
def random_model() -> TwoTowerModel:
    """A real model of small sizes, every parameter drawn."""
    config = ModelConfig(
        vision_encoder=VisionConfig(variant="nfnet_tiny", image_size=IMAGE_SIZE),
        text_tower=TextTowerConfig(
            num_layers=1, width=16, num_heads=2, vocabulary_size=WORLD.size,
            max_length=MAX_TEXT_LENGTH,
        ),
        embedding_width=12,
    )  # fmt: skip
    functions = build_two_tower(config)
    return model(functions, tiny.parameters(functions.init))


def embed_alone(model: TwoTowerModel, what: str | np.ndarray) -> np.ndarray:
    """The embedding [E] of one text, or of one frame uint8 [H, W, 3]."""
    encode_image, encode_text = _jitted(model.functions)
    if not isinstance(what, str):
        return np.asarray(encode_image(model.params, what[None]))[0]
    row_T = np.zeros(MAX_TEXT_LENGTH, np.int32)
    tokens = WORLD.encode(what)[:MAX_TEXT_LENGTH]
    row_T[: len(tokens)] = tokens
    return np.asarray(encode_text(model.params, row_T[None]))[0]


@functools.cache
def _jitted(functions: TwoTowerFunctions) -> tuple[Any, Any]:
    return jax.jit(functions.encode_image), jax.jit(functions.encode_text)


def model(functions: TwoTowerFunctions, params: object) -> TwoTowerModel:
    return TwoTowerModel(
        functions=functions, params=params, mesh=make_mesh(MeshConfig()), vocabulary=WORLD,
        max_text_length=MAX_TEXT_LENGTH, checkpoint=CHECKPOINT,
    )  # fmt: skip


def knowing_model(
    colours: Sequence[tuple[int, int, int]],
    thing_of_colour: Sequence[int],
    things: Mapping[str, int],
) -> TwoTowerModel:
    """Towers that embed a picture and a text of the same thing alike, other things otherwise.

    Args:
      colours: of the pictures.
      thing_of_colour: what a picture of each colour shows.
      things: what each text says.
    """
    known_KT = np.zeros((len(things), MAX_TEXT_LENGTH), np.int32)
    for row, text in enumerate(things):
        tokens = WORLD.encode(text)[:MAX_TEXT_LENGTH]
        known_KT[row, : len(tokens)] = tokens
    num_things = 1 + max([*thing_of_colour, *things.values()])

    def encode_text(params: object, text_BT: jax.Array) -> jax.Array:
        text_BT = jnp.pad(text_BT, ((0, 0), (0, MAX_TEXT_LENGTH - text_BT.shape[1])))
        is_same_BK = (text_BT[:, None] == jnp.asarray(known_KT)).all(axis=-1)
        return is_same_BK @ jax.nn.one_hot(np.array(list(things.values())), num_things)

    def encode_image(params: object, images_BHWC: jax.Array) -> jax.Array:
        mean_BC = images_BHWC.astype(jnp.float32).mean(axis=(1, 2))
        distance_BK = jnp.abs(mean_BC[:, None] - jnp.asarray(colours, jnp.float32)).sum(axis=-1)
        seen_B = jnp.asarray(thing_of_colour)[distance_BK.argmin(axis=-1)]
        return jax.nn.one_hot(seen_B, num_things)

    functions = TwoTowerFunctions(
        init=lambda rng: {},
        forward=lambda *arguments: None,  # type: ignore[arg-type, return-value]
        encode_image=encode_image,
        encode_text=encode_text,
    )
    return model(functions, {})
