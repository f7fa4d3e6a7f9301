"""What a source of examples is: a value that has example n for any n."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Sequence

from flamingo_jax.data.bad_samples import BadSample
from flamingo_jax.data.media import Media


class Content(enum.Enum):
    """What the examples of a source are."""

    PAGE = "pages of text and pictures"
    PAIR = "pictures with a text each"
    CLIP = "clips with a text each"
    TEXT = "texts, read from their start"
    LONG_TEXT = "long texts, read in windows at random places"

    @property
    def has_media(self) -> bool:
        """Whether the examples have pictures or clips."""
        return self not in (Content.TEXT, Content.LONG_TEXT)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RawExample:
    """One example as its source has it, before any op.

    Attributes:
        chunks: I+1 strings; chunk 0 stands before the first picture, chunk i after picture i.
            A text alone is its only chunk.
        media: I pictures or clips in reading order.
        text_in_images: whether the record says that its pictures show text.
    """

    chunks: tuple[str, ...]
    media: Sequence[Media] = ()
    text_in_images: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Examples by number, in any order: a reader's position in them is one integer.

    Attributes:
        name: as in `DatasetConfig.source`.
        content: what the examples are.
        read: makes example n, the same one at every call and from any thread. Raises `BadSample`
            if that example cannot be used.
        num_examples: how many there are; None if they never end.
        media_shape: (F, H, W) of every picture or clip once it is decoded; (0, 0, 0) for text
            alone.
        problems: what was found wrong when the source was opened, such as missing shards.
    """

    name: str
    content: Content
    read: Callable[[int], RawExample]
    num_examples: int | None = None
    media_shape: tuple[int, int, int] = (0, 0, 0)
    problems: tuple[BadSample, ...] = ()
