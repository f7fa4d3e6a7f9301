"""Copies of evaluation pictures are found, other pictures are not."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flamingo_jax.core.errors import UserError
from flamingo_jax.preparation.m3w.config import M3WConfig
from flamingo_jax.preparation.m3w.near_duplicates import (
    EvaluationPictures,
    embed_all,
    embed_evaluation_pictures,
    embed_thumbnails,
    most_similar,
)
from tests.preparation.m3w.pictures import decoded, encoded, picture, pixels

MIN_COSINE = M3WConfig().near_duplicate_cosine


def _known(*pictures: bytes, min_cosine: float = MIN_COSINE) -> EvaluationPictures:
    return EvaluationPictures(
        embed=embed_thumbnails,
        embeddings_NE=embed_all(embed_thumbnails, pictures),
        min_cosine=min_cosine,
    )


def _changed(data: bytes, kind: str) -> bytes:
    opened = Image.fromarray(decoded(data))
    if kind == "resized":
        return encoded(np.asarray(opened.resize((50, 42))))
    if kind == "compressed":
        return encoded(np.asarray(opened), quality=20)
    if kind == "lighter":
        return encoded((np.asarray(opened) * 0.8 + 40).astype(np.uint8), "PNG")
    return encoded(np.asarray(opened), "WEBP")


@pytest.mark.parametrize("kind", ["resized", "compressed", "lighter", "webp"])
def test_copies_are_found_and_others_are_not(kind: str) -> None:
    known = _known(*[picture(seed=seed) for seed in range(20)])
    copies = [_changed(picture(seed=seed), kind) for seed in range(20)]
    assert known.near_duplicates(copies).all()
    others = [_changed(picture(seed=seed), kind) for seed in range(100, 120)]
    assert not known.near_duplicates(others).any()


def test_wide_pictures_are_compared_without_the_padding_around_them() -> None:
    known = _known(*[picture(192, 64, seed=seed) for seed in range(20)])
    assert known.near_duplicates([picture(240, 80, seed=seed) for seed in range(20)]).all()
    others = [picture(192, 64, seed=seed) for seed in range(100, 140)]
    assert not known.near_duplicates(others).any()


def test_colour_counts() -> None:
    grey = pixels(80, 80).mean(axis=2, keepdims=True) // 2
    red, blue = (
        encoded(np.clip(grey + shift, 0, 255).astype(np.uint8), "PNG")
        for shift in ((90, 0, 0), (0, 0, 90))
    )
    assert _known(red).near_duplicates([red, blue]).tolist() == [True, False]


def test_threshold_is_a_cosine() -> None:
    def embed(pictures: list[bytes]) -> np.ndarray:
        return np.stack([np.frombuffer(data, np.float32) for data in pictures])

    def vector(degrees: float, length: float) -> bytes:
        radians = math.radians(degrees)
        found = np.array([math.cos(radians), math.sin(radians)], np.float32) * np.float32(length)
        return found.tobytes()

    known = EvaluationPictures(
        embed=embed,
        embeddings_NE=embed_all(embed, [vector(0, 3), vector(90, 1)]),
        min_cosine=math.cos(math.radians(10)),
    )
    pictures = [vector(9, 5), vector(11, 5), vector(79, 1), vector(81, 1), vector(180, 1), bytes(8)]
    assert known.near_duplicates(pictures).tolist() == [True, False, False, True, False, False]
    assert known.near_duplicates([]).tolist() == []


def test_most_similar() -> None:
    found = np.array([[1, 0], [0.6, 0.8]], np.float32)
    assert most_similar(found, found[:1]).tolist() == pytest.approx([1.0, 0.6])


def test_many_pictures_are_embedded_some_at_a_time() -> None:
    sizes = []

    def embed(pictures: list[bytes]) -> np.ndarray:
        sizes.append(len(pictures))
        return np.array([[float(data)] for data in pictures])

    found = embed_all(embed, [str(number).encode() for number in range(130)])
    assert found.ravel().tolist() == [0.0] + [1.0] * 129
    assert sizes == [64, 64, 2]


def test_evaluation_pictures_must_be_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(picture())
    (tmp_path / "b.txt").write_text("captions")
    assert embed_evaluation_pictures([str(tmp_path / "a.jpg")], embed_thumbnails).shape == (1, 768)
    with pytest.raises(UserError, match="--evaluation_images: .*b.txt: not_an_image"):
        embed_evaluation_pictures([str(tmp_path / "b.txt")], embed_thumbnails)
    with pytest.raises(UserError, match="c.jpg: No such file"):
        embed_evaluation_pictures([str(tmp_path / "c.jpg")], embed_thumbnails)
