"""The sources by name, and which stage can learn from which."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data.sources import (
    clips,
    coco_captions,
    documentation,
    json_lines_pages,
    json_lines_pairs,
    mmc4,
    obelics,
    text_sources,
    tfds_pairs,
    webdataset,
    world,
)
from flamingo_jax.data.sources.source import Content, Source

SOURCES: Mapping[str, Callable[[DatasetConfig], Source]] = {
    "world/pages": world.pages,
    "world/noisy_pairs": world.noisy_pairs,
    "world/clean_pairs": world.clean_pairs,
    "world/clips": world.clips,
    "world/text": world.text,
    "text/documentation": documentation.source,
    "clips/json_lines": clips.json_lines,
    "clips/webdataset": clips.webdataset,
    "pages/json_lines": json_lines_pages.source,
    "pages/mmc4": mmc4.source,
    "pages/obelics": obelics.source,
    "pairs/coco_captions": coco_captions.source,
    "pairs/json_lines": json_lines_pairs.source,
    "pairs/tfds": tfds_pairs.source,
    "pairs/webdataset": webdataset.source,
    "text/files": text_sources.text_files,
    "text/json_lines": text_sources.json_lines,
    "text/tfds": text_sources.tfds,
}

_CONTENTS: Mapping[str, tuple[Content, ...]] = {
    "flamingo": (Content.PAGE, Content.PAIR, Content.CLIP, Content.TEXT, Content.LONG_TEXT),
    "contrastive": (Content.PAIR,),
    "language_model": (Content.TEXT, Content.LONG_TEXT),
}

_FEWEST_TOKENS_OF_A_DOCUMENT = 8


def open_source(dataset: DatasetConfig, stage: str) -> Source:
    """The source of a dataset.

    Args:
        dataset: the dataset's config.
        stage: "contrastive", "language_model" or "flamingo".

    Returns:
        The source that `dataset.source` names.

    Raises:
        UserError: there is no such source, the stage cannot learn from it, or a field of the
            dataset does not go with it; the line names the field.
    """
    field = f"data[{dataset.name}]"
    if dataset.source not in SOURCES:
        raise UserError(_unknown(f"config.{field}.source", dataset.source))
    source = SOURCES[dataset.source](dataset)
    contents = _CONTENTS[stage]
    _check(
        source.content in contents,
        f"{field}.source",
        f"{dataset.source!r} ({source.content.value})",
        f"{' or '.join(content.value for content in contents)} in stage {stage}",
    )
    if source.content.has_media:
        _check(dataset.max_images >= 1, f"{field}.max_images", dataset.max_images, "at least 1")
        num_frames = source.media_shape[0]
        _check(
            dataset.num_frames == num_frames,
            f"{field}.num_frames",
            dataset.num_frames,
            f"{num_frames}, the frames of {source.content.value}",
        )
        num_documents = dataset.documents_per_row
        expected = "1: only texts share rows"
        _check(num_documents == 1, f"{field}.documents_per_row", num_documents, expected)
    else:
        _check_text(dataset, stage, field)
    if source.content is not Content.PAGE:
        _check(dataset.p_next == 0, f"{field}.p_next", dataset.p_next, "0: only pages have a next")
    if source.content not in (Content.PAIR, Content.CLIP):
        value = dataset.leading_space_probability
        expected = "0: only texts of pairs and clips get the space"
        _check(value == 0, f"{field}.leading_space_probability", value, expected)
    return source


def _check_text(dataset: DatasetConfig, stage: str, field: str) -> None:
    """What goes with text alone."""
    if stage == "flamingo":
        expected = "0: there are no pictures in text alone"
        _check(dataset.max_images == 0, f"{field}.max_images", dataset.max_images, expected)
    most = max(1, dataset.max_text_length // _FEWEST_TOKENS_OF_A_DOCUMENT)
    _check(
        dataset.documents_per_row <= most,
        f"{field}.documents_per_row",
        dataset.documents_per_row,
        f"at most {most}, {_FEWEST_TOKENS_OF_A_DOCUMENT} tokens of max_text_length for each",
    )


def _check(condition: bool, field: str, value: object, expected: str) -> None:
    if not condition:
        raise UserError(f"config.{field} is {value}: expected {expected}")


def _unknown(field: str, name: str) -> str:
    nearest = difflib.get_close_matches(name, SOURCES, n=1, cutoff=0.5)
    if nearest:
        return f"{field} is {name!r}: did you mean {nearest[0]!r}?"
    return f"{field} is {name!r}: expected one of {', '.join(SOURCES)}"
