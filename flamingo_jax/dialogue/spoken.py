"""What can be shown of an answer while it is being generated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
"""What decoding gives for a character of which not all bytes are there yet."""


class Spoken(NamedTuple):
    """What has been said so far.

    Attributes:
        text: what will stay, whatever comes.
        ended: the answer is over: the model went on in the person's place.
    """

    text: str
    ended: bool


def spoken(text: str, stops: Sequence[str], *, is_whole: bool = False) -> Spoken:
    """What may be shown of a text that goes on.

    Args:
        text: as generated so far.
        stops: what ends an answer, and is not part of it.
        is_whole: nothing comes after it.

    Returns:
        The text without outer spaces, up to the first stop. Unless it is whole, its end is held
        back as long as it may be the beginning of a stop or of a character.
    """
    places = [place for place in (text.find(stop) for stop in stops) if place >= 0]
    if places:
        return Spoken(text[: min(places)].strip(), True)
    if is_whole:
        return Spoken(text.strip(), False)
    text = text.rstrip(_INCOMPLETE)
    held = max((_overlap(text, stop) for stop in stops), default=0)
    return Spoken(text[: len(text) - held].strip(), False)


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of a text that a stop begins with."""
    for length in range(min(len(text), len(stop)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
