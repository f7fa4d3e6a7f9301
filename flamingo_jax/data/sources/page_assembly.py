"""Pages of text and pictures from their parts: the rules that all page sources share.

A picture at the end of a page with no text behind it is dropped: no token would see it, so it
could teach nothing. What is left without pictures is no page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.sources.source import Content, RawExample, Source

BETWEEN_PARAGRAPHS = "\n"
BETWEEN_SENTENCES = " "

# JSON can write half of a pair of UTF-16 units; no encoding has a place for one.
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"


def source(
    dataset: DatasetConfig,
    read: Callable[[int], RawExample],
    num_pages: int,
    problems: tuple[BadSample, ...],
) -> Source:
    """The source of the pages that `read` makes.

    Args:
        dataset: the dataset's config.
        read: as in `Source`.
        num_pages: how many there are.
        problems: as in `Source`.

    Raises:
        UserError: there is not one page.
    """
    if not num_pages:
        first = f"; {problems[0]}" if problems else ""
        raise UserError(f"config.data[{dataset.name}].paths: the files have no page{first}")
    return Source(
        name=dataset.source,
        content=Content.PAGE,
        read=read,
        num_examples=num_pages,
        media_shape=(dataset.num_frames, dataset.image_size, dataset.image_size),
        problems=problems,
    )


def assemble(
    parts: Iterable[str | EncodedImage],
    separator: str,
    place: str,
    text_in_images: bool = False,
) -> RawExample:
    """A page from its texts and pictures.

    Args:
        parts: texts and pictures in reading order, without those that are missing.
        separator: what is put between texts that follow each other.
        place: file and line or shard and member of the page, for messages.
        text_in_images: whether the record says that its pictures show text.

    Returns:
        The page. Its chunks have no whitespace at their ends; one of whitespace alone is "".

    Raises:
        BadSample: `NO_IMAGE`, there is no picture; `NO_TEXT_AFTER_IMAGE`, there are pictures, but
            no text behind the first.
    """
    chunks: list[list[str]] = [[]]
    pictures = []
    for part in parts:
        if isinstance(part, EncodedImage):
            pictures.append(part)
            chunks.append([])
        elif text := clean_text(part):
            chunks[-1].append(text)
    if not pictures:
        raise BadSample(Reason.NO_IMAGE, place)
    while pictures and not chunks[-1]:
        pictures.pop()
        chunks.pop()
    if not pictures:
        raise BadSample(Reason.NO_TEXT_AFTER_IMAGE, place)
    return RawExample(
        chunks=tuple(separator.join(texts) for texts in chunks),
        media=tuple(pictures),
        text_in_images=text_in_images,
    )


def clean_text(text: str) -> str:
    """A text without NUL and whitespace at its ends, U+FFFD for halves of surrogate pairs."""
    return _LONE_SURROGATE.sub(_REPLACEMENT, text.replace("\0", "")).strip()
