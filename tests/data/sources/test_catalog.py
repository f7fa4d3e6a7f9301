"""Sources by name, their examples by number, and what does not go together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import digits
from flamingo_jax.data.sources import catalog, documentation

STAGES = {
    "world/pages": "flamingo",
    "world/noisy_pairs": "contrastive",
    "world/clean_pairs": "flamingo",
    "world/clips": "flamingo",
    "world/text": "language_model",
    "text/documentation": "language_model",
}


def _dataset(source: str, **fields: Any) -> DatasetConfig:
    sizes = {"world/pages": {"max_images": 5}, "world/clips": {"num_frames": 8}}
    return DatasetConfig(
        name="mine",
        source=source,
        batch_size=4,
        loss_weight=1.0,
        max_text_length=32,
        **(sizes.get(source, {}) | fields),
    )


def test_every_source_without_files_is_tested() -> None:
    """Those that read files have tests of their own."""
    assert set(STAGES) == {
        name
        for name in catalog.SOURCES
        if name.startswith("world/") or name == "text/documentation"
    }


@pytest.mark.parametrize("name", STAGES)
def test_examples_by_number(name: str) -> None:
    source = catalog.open_source(_dataset(name), STAGES[name])
    again = catalog.open_source(_dataset(name), STAGES[name])
    seen = set()
    for number in (5, 0, 5, 3):
        example = source.read(number)
        same = again.read(number)
        assert example.chunks == same.chunks
        assert len(example.chunks) == len(example.media) + 1
        for item, same_item in zip(example.media, same.media, strict=True):
            assert isinstance(item, np.ndarray)
            assert np.array_equal(item, same_item)
            assert item.shape == (*source.media_shape, 3)
            assert item.dtype == np.uint8
        seen.add((example.chunks, *(np.asarray(item).tobytes() for item in example.media)))
    assert len(seen) == 3


@pytest.mark.parametrize("name", ["world/pages", "world/clips", "world/text"])
def test_seeds_and_splits_have_examples_of_their_own(name: str) -> None:
    examples = {
        catalog.open_source(_dataset(name, **fields), STAGES[name]).read(0).chunks
        for fields in ({}, {"seed": 1}, {"split": "test"})
    }
    assert len(examples) == 3


@pytest.mark.parametrize("name", [name for name in STAGES if name.startswith("world/")])
def test_training_paints_scans_of_the_train_split_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans_by_class = digits.scans_by_class

    def train_scans(split: str) -> tuple[np.ndarray, ...]:
        assert split == "train"
        return scans_by_class(split)

    monkeypatch.setattr(digits, "scans_by_class", train_scans)
    source = catalog.open_source(_dataset(name), STAGES[name])
    for number in range(20):
        source.read(number)
    if source.content.has_media:
        held_out = catalog.open_source(_dataset(name, split="test"), STAGES[name])
        with pytest.raises(AssertionError):
            held_out.read(0)


def test_documents_are_in_one_split_each() -> None:
    parts = [set(documentation.documents_of_split(s)) for s in ("train", "validation", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(documentation.documents())
    assert len(parts[0]) > 1500
    assert min(map(len, parts)) > 90


@pytest.mark.parametrize(
    ("stage", "source", "fields", "message"),
    [
        ("flamingo", "world/page", {}, r"data\[mine\]\.source .*did you mean 'world/pages'\?"),
        ("flamingo", "laion", {}, r"'laion': expected one of world/pages, "),
        ("contrastive", "world/text", {}, r"\.source is 'world/text' .* in stage contrastive"),
        ("flamingo", "world/text", {}, r"\.max_images is 1: expected 0: there are no pictures"),
        ("contrastive", "world/pages", {}, r"expected pictures with a text each in stage"),
        ("contrastive", "world/clips", {}, r"expected pictures with a text each in stage"),
        ("language_model", "world/pages", {}, r"expected texts"),
        ("flamingo", "world/pages", {"num_frames": 8}, r"\.num_frames is 8: expected 1"),
        ("flamingo", "world/pages", {"max_images": 0}, r"\.max_images is 0: expected at least 1"),
        ("flamingo", "world/clips", {"num_frames": 1}, r"\.num_frames is 1: expected at least 2"),
        ("flamingo", "world/clean_pairs", {"p_next": 0.5}, r"\.p_next is 0\.5: expected 0"),
        (
            "flamingo",
            "world/pages",
            {"leading_space_probability": 0.5},
            r"\.leading_space_probability is 0\.5: expected 0",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    stage: str, source: str, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        catalog.open_source(_dataset(source, **fields), stage)
