"""Pictures are encoded in batches of one size, a batch in memory at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.config import MeshConfig
from flamingo_jax.evaluation import pictures
from flamingo_jax.evaluation.pictures import PictureEncoder
from flamingo_jax.sharding.mesh import make_mesh
from tests.evaluation import tiny

SIZE = 8
BATCH = 4


def _means(params: Any, media_BIFHWC: jax.Array) -> jax.Array:
    """Stands in for the vision encoder: one patch, its mean colour in 128 places."""
    colour = media_BIFHWC.astype(jnp.float32).mean(axis=(-3, -2))[..., None, :] / 255.0
    return jnp.pad(colour, [(0, 0)] * (colour.ndim - 1) + [(0, 128 - 3)])


def _encoder(monkeypatch: pytest.MonkeyPatch, num_devices: int = 1) -> PictureEncoder:
    monkeypatch.setattr(pictures, "_FRAMES_OF_A_BATCH", BATCH)
    functions, params = tiny.model(16)
    mesh = make_mesh(MeshConfig(data=num_devices))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    functions = dataclasses.replace(functions, encode_features=_means)
    return PictureEncoder(functions, jax.device_put(params, whole), mesh)


def _media(count: int, num_frames: int = 1) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    shape = (count, num_frames, SIZE, SIZE, 3)
    return list(random.integers(0, 256, shape, dtype=np.uint8))


@pytest.mark.parametrize(("num_frames", "num_devices"), [(1, 1), (3, 2), (5, 2)])
def test_what_a_picture_becomes_does_not_depend_on_its_batch(
    monkeypatch: pytest.MonkeyPatch, num_frames: int, num_devices: int
) -> None:
    media = _media(11, num_frames)
    encoder = _encoder(monkeypatch, num_devices)
    whole = encoder(media)
    assert whole.latents.shape == (11, tiny.NUM_LATENTS, tiny.WIDTH)
    assert whole.pooled.shape == (11, 128)
    for number in (0, 3, 4, 10):
        alone = encoder([media[number]])
        np.testing.assert_allclose(whole.latents[number], alone.latents[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(whole.pooled[number], alone.pooled[0], rtol=1e-5, atol=1e-6)
    assert np.abs(np.diff(whole.latents, axis=0)).max(axis=(1, 2)).min() > 1e-4


def test_pictures_are_taken_a_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    seen = []

    def lazily() -> Iterator[np.ndarray]:
        for number, frames in enumerate(_media(10)):
            taken.append(number)
            yield frames

    encoder = _encoder(monkeypatch)
    encode = encoder._encode_features
    encoder._encode_features = lambda *arguments: (seen.append(len(taken)), encode(*arguments))[1]
    assert len(encoder(lazily()).latents) == 10
    assert seen == [4, 8, 10]
