"""Pieces of a tree to plain text: lines, paragraphs, bullets, and pictures between them."""

from __future__ import annotations

import re
from typing import Generic, TypeVar

Image = TypeVar("Image")

BULLET = "- "
_LINE, _PARAGRAPH = 1, 2
_LINE_ENDS = re.compile(r"\r\n?|\n")


class TextBuilder(Generic[Image]):
    """Writes a page from left to right."""

    def __init__(self, title: str) -> None:
        """Starts with the title as a paragraph of its own.

        If the first line of the body repeats it, as the heading of a page often does, that line is
        left out.
        """
        self._title = title
        self._may_repeat_title = bool(title)
        self._pieces: list[str | Image] = []
        self._parts: list[str] = []
        self._break = 0
        self._has_space = False
        self._has_bullet = False
        if title:
            self._parts.append(title)
            self._break = _PARAGRAPH

    def add_text(self, text: str, is_preformatted: bool) -> None:
        """Adds text; whitespace in it counts as one space, unless it is preformatted."""
        if is_preformatted:
            self._add_lines(text)
            return
        words = text.split()
        if not words:
            self._has_space = self._has_space or bool(text)
            return
        self._has_space = self._has_space or text[0].isspace()
        self._write(" ".join(words))
        self._has_space = text[-1].isspace()

    def add_break(self, strength: int) -> None:
        """Ends the line (1) or the paragraph (2) if there is one."""
        self._break = max(self._break, strength)
        self._has_space = False

    def set_bullet(self, begins: bool) -> None:
        """Marks the text that comes next as an item of a list, or ends an item without text."""
        self._has_bullet = begins

    def add_image(self, image: Image) -> None:
        """Adds a picture. It does not end a line of text, but parts the page there."""
        self._end_piece()
        self._pieces.append(image)

    def pieces(self) -> tuple[str | Image, ...]:
        """Texts, none empty and never two in a row, and pictures. The builder is used up."""
        self._end_piece()
        return tuple(self._pieces)

    def _add_lines(self, text: str) -> None:
        for number, line in enumerate(_LINE_ENDS.split(text)):
            if number:
                # An empty line ends the paragraph.
                self._break = _PARAGRAPH if self._break else _LINE
            if line.strip():
                self._has_space = False
                self._write(line.rstrip())

    def _write(self, text: str) -> None:
        if self._parts and self._break:
            self._parts.append("\n" * self._break)
        elif self._parts and self._has_space:
            self._parts.append(" ")
        if self._has_bullet:
            self._parts.append(BULLET)
        self._parts.append(text)
        self._break, self._has_space, self._has_bullet = 0, False, False

    def _end_piece(self) -> None:
        text = "".join(self._parts).strip()
        if self._may_repeat_title:
            text = self._without_second_title(text)
        if text:
            self._pieces.append(text)
        self._parts, self._break, self._has_space = [], 0, False

    def _without_second_title(self, text: str) -> str:
        before = [] if self._pieces else [self._title]
        body = text if self._pieces else text.removeprefix(self._title).lstrip("\n")
        if body:
            self._may_repeat_title = False
            first, _, rest = body.partition("\n")
            if first == self._title:
                body = rest.lstrip("\n")
        return "\n\n".join([*before, body]).strip()
