"""Embeddings of pictures and clips against each frame alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.two_tower_media import KeptEmbeddings, embed_media
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
def test_a_clip_is_the_mean_of_its_frames_in_its_place(
    tmp_path: Path, num_frames: int, count: int
) -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(256, size=(count, num_frames, 2, 2, 3), dtype=np.uint8)
    items = [Item(id=str(number), medium="") for number in range(count)]
    told: list[int] = []
    with ThreadPoolExecutor(3) as threads:
        found_NE = embed_media(
            MODEL, items, lambda item: pixels[int(item.id)], threads, told.append,
            KeptEmbeddings(tmp_path / "kept"),
        )  # fmt: skip
    assert found_NE.shape == (count, 3)
    assert told == sorted(told) and told[-1] == count
    for clip, found_E in zip(pixels, found_NE, strict=True):
        frames = [frame.reshape(-1, 3).mean(axis=0) + 1.0 for frame in clip]
        mean = np.mean([frame / np.linalg.norm(frame) for frame in frames], axis=0)
        assert found_E == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    def read(item: Item) -> np.ndarray:
        if item.id == "70":
            raise UserError("coco: there is no picture")
        return np.zeros((1, 2, 2, 3), np.uint8)

    items = [Item(id=str(number), medium="") for number in range(80)]
    with ThreadPoolExecutor(2) as threads, pytest.raises(UserError, match="no picture"):
        embed_media(MODEL, items, read, threads, lambda done: None, KeptEmbeddings(tmp_path / "e"))


def test_what_was_embedded_before_a_stop_is_not_embedded_again(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    pixels = random.integers(256, size=(150, 1, 2, 2, 3), dtype=np.uint8)
    items = [Item(id=str(number), medium="") for number in range(len(pixels))]
    read_now: list[int] = []

    def read(item: Item) -> np.ndarray:
        read_now.append(int(item.id))
        return pixels[int(item.id)]

    def embed(name: str, stop_after: int = 1000) -> np.ndarray:
        def report(done: int) -> None:
            if done >= stop_after:
                raise KeyboardInterrupt

        with ThreadPoolExecutor(2) as threads:
            return embed_media(
                MODEL, items, read, threads, report, KeptEmbeddings(tmp_path / name)
            )  # fmt: skip

    whole_NE = embed("whole")
    with pytest.raises(KeyboardInterrupt):
        embed("parts", stop_after=128)
    path = tmp_path / "parts"
    kept = KeptEmbeddings(path)
    assert [len(batch_NE) for batch_NE in kept.batches] == [64, 64]
    # Killed within the second batch, and within the line that says how large it is.
    content = path.read_bytes()
    for size in (len(content) - 5, len(content) // 2 + 20):
        path.write_bytes(content[:size])
        assert KeptEmbeddings(path).count == 64
        assert path.stat().st_size == len(content) // 2
    read_now.clear()
    assert np.array_equal(embed("parts"), whole_NE)
    assert sorted(set(read_now)) == [0, *range(64, 150)]  # The first one tells the frames.
    read_now.clear()
    assert np.array_equal(embed("parts"), whole_NE)
    assert read_now == [0]
    assert path.read_bytes() == (tmp_path / "whole").read_bytes()
