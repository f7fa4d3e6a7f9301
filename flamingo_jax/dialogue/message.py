"""A typed line as a message: words, and the files of pictures and clips among them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from flamingo_jax.dialogue.media import is_named_as_medium, looks_like_medium

_WORDS = re.compile(
    r"<(?P<bracketed>[^<>\s](?:[^<>]*[^<>\s])?)>"  # "3 < 4 and 5 > 4" names no file.
    r"|\"(?P<quoted>[^\"]+)\"|(?P<word>[^\s<>]+)|[<>]"
)
_AFTER_A_NAME = ".,;:!?)'\""
"""What may follow a file's name without being part of it."""


class File(NamedTuple):
    """A file to be read.

    Attributes:
        path: where it is.
        name: what the person calls it.
    """

    path: Path
    name: str


Item = str | File
"""Of a message: text or a file."""


def parse_message(line: str) -> list[Item]:
    """Finds the files in a line.

    `<photos/cat.jpg>` is always a file. A word, or what stands in double quotes, is one if it ends
    as files of pictures and clips do, or if there is a file of this name that is one by its
    content. `~` is the home folder.

    Args:
        line: as typed.

    Returns:
        Text and files in the order of the line. Whether files exist is for `read_medium` to say.
    """
    items: list[Item] = []
    text_start = 0
    for match in _WORDS.finditer(line):
        name, start, end = _named(match)
        if name is None:
            continue
        items += _text(line[text_start:start])
        items.append(File(Path(name).expanduser(), name))
        text_start = end
    return [*items, *_text(line[text_start:])]


def _named(match: re.Match[str]) -> tuple[str | None, int, int]:
    """The file's name in a match, if it is one, and where it begins and ends in the line."""
    start, end = match.span()
    if bracketed := match["bracketed"]:
        return bracketed, start, end
    name = match["quoted"] or match["word"]
    if not name or _is_file(name):
        return name, start, end
    bare = name.rstrip(_AFTER_A_NAME)
    if match["word"] and _is_file(bare):
        return bare, start, start + len(bare)
    return None, start, end


def _is_file(name: str) -> bool:
    return is_named_as_medium(name) or looks_like_medium(Path(name).expanduser())


def _text(text: str) -> Sequence[str]:
    return [text.strip()] if text.strip() else []
