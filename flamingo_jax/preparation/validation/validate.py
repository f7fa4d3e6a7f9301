"""Looks at the samples of a dataset as training would read them, and says what can be used.

Every sample is read by its source and all of its pictures or clips are decoded. What training may
still leave out by itself, where nothing of a sample is left to score after cutting it to
`max_text_length`, is not looked for.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage, EncodedVideo, Media
from flamingo_jax.data.ops.decode import decode
from flamingo_jax.data.sources.source import Source
from flamingo_jax.data.vocabulary import Vocabulary
from flamingo_jax.preparation.picture_header import read_header

_SAMPLES_AT_ONCE = 256

Size = tuple[int, int]
Item = TypeVar("Item")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spread:
    """Least, middle and largest of some numbers."""

    least: int
    median: int
    largest: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureSizes:
    """(width, height) of the files' pictures of least, middle and largest area."""

    smallest: Size
    median: Size
    largest: Size


@dataclasses.dataclass(frozen=True, kw_only=True)
class Validation:
    """What was found in a dataset.

    Attributes:
        name: of the dataset.
        source: name of its source.
        num_samples: how many there are; None if they never end.
        num_looked_at: samples that were read.
        num_usable: of these, the ones that can be used.
        refused: {reason: samples} of the others.
        problems: {reason: times}, what was found when the source was opened.
        first_problem: the first of these, with its name.
        first_bad: the first bad sample, with its name; empty if there is none.
        max_bad_share: of the dataset's config.
        characters: of text, over the usable samples; None without any.
        tokens: likewise, without tags; None without a vocabulary too.
        pictures: pictures or clips of a sample; None for text alone.
        sizes: of the pictures; None where there are no picture files.
    """

    name: str
    source: str
    num_samples: int | None
    num_looked_at: int
    num_usable: int
    refused: Mapping[Reason, int]
    problems: Mapping[Reason, int]
    first_problem: str
    first_bad: str
    max_bad_share: float
    characters: Spread | None
    tokens: Spread | None
    pictures: Spread | None
    sizes: PictureSizes | None

    @property
    def bad_share(self) -> float:
        """Bad ones among what was looked at; each problem of opening counts as one, as in a run."""
        num_problems = sum(self.problems.values())
        bad = sum(n for reason, n in self.refused.items() if not reason.is_rule)
        return (bad + num_problems) / max(self.num_looked_at + num_problems, 1)

    @property
    def is_ok(self) -> bool:
        """Whether there is something to train on, and not more bad than the config takes."""
        return self.num_usable > 0 and self.bad_share <= self.max_bad_share


def validate(
    dataset: DatasetConfig,
    source: Source,
    num_samples: int | None,
    vocabulary: Vocabulary | None,
    say: Callable[[str], None],
) -> Validation:
    """Looks at the samples of a dataset.

    Args:
        dataset: its config.
        source: its source, opened.
        num_samples: how many to look at, spread evenly; None: all.
        vocabulary: to count tokens with, if any.
        say: takes a line of progress now and then.

    Returns:
        What was found.

    Raises:
        UserError: all samples of a source that never ends are asked for.
    """
    places = _places(dataset, source, num_samples)
    found = _Counts()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(places), _SAMPLES_AT_ONCE):
            block = places[start : start + _SAMPLES_AT_ONCE]
            for looked in pool.map(lambda n: _look(n, dataset, source, vocabulary), block):
                found.add(looked)
            if start + len(block) < len(places):
                say(f"{dataset.name}: {start + len(block)} of {len(places)} samples")
    return Validation(
        name=dataset.name,
        source=dataset.source,
        num_samples=source.num_examples,
        num_looked_at=len(places),
        num_usable=found.characters.total(),
        refused=found.refused,
        problems=collections.Counter(problem.reason for problem in source.problems),
        first_problem=str(source.problems[0]) if source.problems else "",
        first_bad=found.first_bad,
        max_bad_share=dataset.max_bad_share,
        characters=_spread(found.characters),
        tokens=_spread(found.tokens) if vocabulary else None,
        pictures=_spread(found.pictures) if source.content.has_media else None,
        sizes=_sizes(found.sizes),
    )


def _places(dataset: DatasetConfig, source: Source, num_samples: int | None) -> Sequence[int]:
    """Numbers of the samples to look at, spread evenly over a source that ends."""
    total = source.num_examples
    if total is None:
        if num_samples is None:
            raise UserError(
                f"--samples=all: {dataset.source!r} of dataset {dataset.name!r} never ends; give a"
                " number"
            )
        return range(num_samples)
    count = total if num_samples is None else min(num_samples, total)
    return range(total) if count == total else [place * total // count for place in range(count)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Looked:
    """What is kept of one sample."""

    bad: BadSample | None = None
    characters: int = 0
    tokens: int = 0
    pictures: int = 0
    sizes: tuple[Size, ...] = ()


class _Counts:
    """How often which number occurred: small, however many samples are looked at."""

    def __init__(self) -> None:
        self.refused: collections.Counter[Reason] = collections.Counter()
        self.first_bad = ""
        self.characters: collections.Counter[int] = collections.Counter()
        self.tokens: collections.Counter[int] = collections.Counter()
        self.pictures: collections.Counter[int] = collections.Counter()
        self.sizes: collections.Counter[Size] = collections.Counter()

    def add(self, looked: _Looked) -> None:
        if looked.bad is not None:
            self.refused[looked.bad.reason] += 1
            if not looked.bad.reason.is_rule:
                self.first_bad = self.first_bad or str(looked.bad)
            return
        self.characters[looked.characters] += 1
        self.tokens[looked.tokens] += 1
        self.pictures[looked.pictures] += 1
        self.sizes.update(looked.sizes)


def _look(
    number: int, dataset: DatasetConfig, source: Source, vocabulary: Vocabulary | None
) -> _Looked:
    num_frames, pixels, _ = source.media_shape
    try:
        raw = source.read(number)
        for media in raw.media:
            decode(media, num_frames, pixels, dataset.frames_per_second)
    except BadSample as bad:
        return _Looked(bad=bad)
    return _Looked(
        characters=sum(map(len, raw.chunks)),
        tokens=sum(len(vocabulary.encode(chunk)) for chunk in raw.chunks) if vocabulary else 0,
        pictures=len(raw.media),
        sizes=tuple(size for media in raw.media if (size := _size(media))),
    )


def _size(media: Media) -> Size | None:
    """(width, height); None for a clip in a file."""
    if isinstance(media, EncodedVideo):
        return None
    if isinstance(media, EncodedImage):
        return read_header(media).upright_size
    _, height, width, _ = media.shape
    return width, height


def _spread(counts: collections.Counter[int]) -> Spread | None:
    if not counts:
        return None
    least, median, largest = _least_median_largest(counts, lambda number: number)
    return Spread(least=least, median=median, largest=largest)


def _sizes(counts: collections.Counter[Size]) -> PictureSizes | None:
    if not counts:
        return None
    smallest, median, largest = _least_median_largest(
        counts, lambda size: (size[0] * size[1], size)
    )
    return PictureSizes(smallest=smallest, median=median, largest=largest)


def _least_median_largest(
    counts: collections.Counter[Item], key: Callable[[Item], Any]
) -> tuple[Item, Item, Item]:
    """Of items by how often they occur; of two in the middle, the larger one."""
    ordered = sorted(counts, key=key)
    up_to = itertools.accumulate(counts[item] for item in ordered)
    middle = counts.total() // 2
    median = next(item for item, n in zip(ordered, up_to, strict=True) if n > middle)
    return ordered[0], median, ordered[-1]
