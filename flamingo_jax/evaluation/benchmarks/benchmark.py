"""What a benchmark is once its own files are read: queries, support, and where the media lie.

A reader of a benchmark's published files makes a `Benchmark`; how it is asked (prompt, decoding,
metric) is not its business.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from flamingo_jax.data.media import EncodedImage, EncodedVideo


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    """One query, or one example that may be a shot.

    Attributes:
      id: the benchmark's own id (of the question, the picture, the clip), as text; unique within
        the queries, and within the support.
      medium: name of its picture or clip, for `MediaStore.read`. Two items of the same name show
        the same picture: such an example is no shot of such a query.
      question: what is asked about it; empty where nothing is.
      history: what was said before the question (VisDial): texts in their order.
      answers: right answers, in the order of the file; the first is what a shot tells.
      candidates: options of this item alone; empty where all items share theirs.
      label: number of the right candidate; -1 if there is none or it is not known.
      details: what only the benchmark's metric needs, by name.
    """

    id: str
    medium: str
    question: str = ""
    history: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    label: int = -1
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class MediaStore(Protocol):
    """Pictures or clips by name."""

    def read(self, name: str) -> EncodedImage | EncodedVideo:
        """The file of a picture or clip.

        Raises:
          UserError: it is missing; says which file of which benchmark.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A benchmark's files, read.

    Attributes:
      name: as in results ("coco", "vqav2", ...).
      split: the one that is asked, in the benchmark's own words ("val", "test-dev").
      queries: what is asked, in the order of the files.
      support: what shots are chosen from; disjoint from the queries by picture or split.
      query_media: pictures or clips of the queries.
      support_media: those of the support.
      candidates: answers that all items choose from (classes); empty for open-ended benchmarks.
    """

    name: str
    split: str
    queries: Sequence[Item]
    support: Sequence[Item]
    query_media: MediaStore
    support_media: MediaStore
    candidates: tuple[str, ...] = ()
