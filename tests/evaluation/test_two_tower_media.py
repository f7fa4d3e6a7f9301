"""Embeddings of pictures and clips against each frame alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.two_tower_media import embed_media
from flamingo_jax.models.build import TwoTowerFunctions
from tests.evaluation import two_towers


def _mean_colour(params: object, images_BHWC: jax.Array) -> jax.Array:
    mean_BC = images_BHWC.astype("float32").mean(axis=(1, 2)) + 1.0
    return mean_BC / jax.numpy.linalg.norm(mean_BC, axis=-1, keepdims=True)


MODEL = two_towers.model(
    TwoTowerFunctions(
        init=lambda rng: {},
        forward=lambda *arguments: None,  # type: ignore[arg-type, return-value]
        encode_image=_mean_colour,
        encode_text=lambda params, text: text,
    ),
    {},
)


@pytest.mark.parametrize(("num_frames", "count"), [(1, 130), (3, 50), (100, 3)])
def test_a_clip_is_the_mean_of_its_frames_in_its_place(num_frames: int, count: int) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(256, size=(count, num_frames, 2, 2, 3), dtype=np.uint8)
    items = [Item(id=str(number), medium="") for number in range(count)]
    told: list[int] = []
    with ThreadPoolExecutor(3) as threads:
        found_NE = embed_media(
            MODEL, items, lambda item: pixels[int(item.id)], threads, told.append
        )
    assert found_NE.shape == (count, 3)
    assert told == sorted(told) and told[-1] == count
    for clip, found_E in zip(pixels, found_NE, strict=True):
        frames = [frame.reshape(-1, 3).mean(axis=0) + 1.0 for frame in clip]
        mean = np.mean([frame / np.linalg.norm(frame) for frame in frames], axis=0)
        assert found_E == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_what_cannot_be_read_is_told() -> None:
    def read(item: Item) -> np.ndarray:
        if item.id == "70":
            raise UserError("coco: there is no picture")
        return np.zeros((1, 2, 2, 3), np.uint8)

    items = [Item(id=str(number), medium="") for number in range(80)]
    with ThreadPoolExecutor(2) as threads, pytest.raises(UserError, match="no picture"):
        embed_media(MODEL, items, read, threads, lambda done: None)
