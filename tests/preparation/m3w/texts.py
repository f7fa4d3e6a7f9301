"""Texts that keep all rules, for tests that then break one."""

from __future__ import annotations

import random

_NAMES = """
    heron otter willow meadow river pebble market window garden ladder copper lantern harbour
    captain village orchard thunder blanket kitchen teacher station bottle feather cottage
    mountain printer student machine pattern weather journey picture evening morning summer
    winter island bridge forest valley engine signal carpet button castle dragon farmer guitar
    hammer jacket kettle letter mirror needle office pencil rabbit saddle tailor
"""
_SMALL = "the of and to a in that with on for from by at over after before into"


def sentences(number: int, seed: int = 0) -> list[str]:
    """Different sentences, English by their words if not by their sense, of twelve words each."""
    draw = random.Random(seed)
    small, names = _SMALL.split(), _NAMES.split()
    return [
        " ".join(f"{draw.choice(small)} {draw.choice(names)}" for _ in range(6)).capitalize() + "."
        for _ in range(number)
    ]


def good_text(num_sentences: int = 12, seed: int = 0) -> str:
    """A text of as many paragraphs that keeps all rules."""
    return "\n\n".join(sentences(num_sentences, seed))
