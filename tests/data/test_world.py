"""Scans, scenes and pages: splits apart, examples by number, pictures as described."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from flamingo_jax.data import digits, grammar, scenes, seeds, world


def _random(number: int) -> np.random.Generator:
    return seeds.generator(0, "world", "train", number)


def test_no_scan_is_in_two_splits() -> None:
    scans = {
        split: [scan.tobytes() for scans in digits.scans_by_class(split) for scan in scans]
        for split in digits.SPLITS
    }
    assert sum(map(len, scans.values())) == 1797
    for first, second in itertools.combinations(digits.SPLITS, 2):
        assert set(scans[first]).isdisjoint(scans[second])
    shares = [len(scans[split]) / 1797 for split in digits.SPLITS]
    np.testing.assert_allclose(shares, (0.65, 0.1, 0.25), atol=0.01)


def test_an_unknown_split_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown split 'dev'"):
        digits.scans_by_class("dev")


def test_a_scene_is_painted_as_it_says() -> None:
    for number in range(60):
        random = _random(number)
        scene = scenes.sample_scene(random, "train")
        image = scenes.render(scene, "train", random).astype(float)
        assert image.shape == (24, 24, 3)
        ground = np.asarray(scenes.GROUNDS[scene.ground], float)
        ink = np.asarray(scenes.INKS[scene.ink], float)
        coverage = (image - ground) @ (ink - ground) / np.sum((ink - ground) ** 2)
        cells = coverage.reshape(3, 8, 3, 8).swapaxes(1, 2)
        inked = (cells > 0.5).any((2, 3))
        expected = np.zeros((3, 3), bool)
        expected[scenes.PLACES.index(scene.place), list(scene.columns)] = True
        np.testing.assert_array_equal(inked, expected)
        # A cell with a glyph is the scan itself, up to the noise.
        for scan, cell in zip(scene.scans, cells[expected], strict=True):
            np.testing.assert_allclose(
                cell, digits.scans_by_class("train")[scene.digit][scan], atol=0.5
            )


@pytest.mark.parametrize("max_images", [1, 2, 3, 5, 9])
def test_pages_differ_in_length_within_bounds(max_images: int) -> None:
    lengths = set()
    for number in range(200):
        page = world.page_of_any_length(_random(number), "train", max_images)
        assert len(page.chunks) == len(page.media) + 1
        lengths.add(len(page.media))
        said = {chunk.split()[-1] for chunk in page.chunks[1:]}
        is_naming = said.isdisjoint(scenes.PLACES) and said <= set(grammar.NAMES)
        if is_naming:
            assert len(page.media) >= min(4, max_images)
    fewest = min(max_images, max(4, max_images * 3 // 4))
    assert lengths == set(range(fewest, max_images + 1))


def test_media_are_painted_in_reading_order() -> None:
    page = world.page(_random(3), "train", 3)
    media = page.render("train", _random(4))
    assert media.shape == (3, 1, 24, 24, 3)
    random = _random(4)
    for frames, picture in zip(page.media, media, strict=True):
        assert (picture[0] == scenes.render(frames[0], "train", random)).all()
