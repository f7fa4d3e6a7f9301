"""A conversation in the terminal, or through a pipe."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterator
from typing import TextIO

from flamingo_jax.core.errors import UserError
from flamingo_jax.dialogue.message import parse_message
from flamingo_jax.dialogue.responder import BEAM, GREEDY, Responder
from flamingo_jax.dialogue.session import dropped, put, take_in

HELP = """\
Write a line; name pictures and clips where you would drop them: what is in photos/cat.jpg ?
A name with spaces or without a known ending: "my cat.jpg", <photos/cat>
/reset forgets the conversation    /greedy, /beam choose how answers are found
/help shows this                   /quit ends, like Ctrl-D; Ctrl-C stops an answer
"""


class _Next(enum.Enum):
    """What follows a command."""

    LINE = enum.auto()
    END = enum.auto()


class Terminal:
    """Reads lines, writes answers; what is no answer goes to `notes`."""

    def __init__(
        self,
        responder: Responder,
        decoding: str = GREEDY,
        *,
        lines: TextIO = sys.stdin,
        answers: TextIO = sys.stdout,
        notes: TextIO = sys.stderr,
    ) -> None:
        """Begins a conversation.

        Args:
            responder: answers.
            decoding: "greedy" or "beam".
            lines: what the person writes.
            answers: where the answers go.
            notes: where hints and mistakes go.
        """
        self._responder = responder
        self._decoding = decoding
        self._lines = lines
        self._answers = answers
        self._notes = notes
        self._conversation = responder.begin().conversation

    def run(self) -> None:
        """Talks until the lines end or say so."""
        if self._lines.isatty():
            self._notes.write(HELP)
        for line in self._read():
            words = line.split()
            if not words:
                continue
            if _is_command(words):
                if self._command(words[0]) is _Next.END:
                    return
                continue
            try:
                self._talk(line)
            except UserError as error:
                self._note(str(error))

    def _read(self) -> Iterator[str]:
        """The lines; a person at a terminal is asked for each, and can edit it."""
        if not self._lines.isatty():
            yield from self._lines
            return
        import readline  # noqa: F401 — Loading it gives `input` its keys; pipes need none.

        while True:
            try:
                yield input("User: ")
            except EOFError:
                self._answers.write("\n")
                return

    def _command(self, command: str) -> _Next:
        if command == "/quit":
            return _Next.END
        if command == "/reset":
            self._conversation = self._responder.begin().conversation
            self._note("a new conversation")
        elif command in ("/greedy", "/beam"):
            self._decoding = {"/greedy": GREEDY, "/beam": BEAM}[command]
            self._note(f"answers are found by {self._decoding} search")
        elif command == "/help":
            self._notes.write(HELP)
        else:
            self._note(f"there is no command {command}; /help shows those that there are")
        return _Next.LINE

    def _talk(self, line: str) -> None:
        """One message and its answer."""
        parts = take_in(self._responder, parse_message(line))
        fitted = put(self._responder, self._conversation, parts)
        if fitted.num_dropped:
            self._note(dropped(fitted.num_dropped, self._responder.limits.max_length))
        self._write("Flamingo:")
        answer = ""
        try:
            for so_far in self._responder.answer(fitted.conversation, self._decoding):
                self._write((" " if so_far and not answer else "") + so_far[len(answer) :])
                answer = so_far
        except KeyboardInterrupt:
            self._write(" …")
        self._write("\n")
        self._conversation = fitted.conversation.hear(answer)

    def _write(self, text: str) -> None:
        self._answers.write(text)
        self._answers.flush()

    def _note(self, text: str) -> None:
        self._notes.write(f"({text})\n")
        self._notes.flush()


def _is_command(words: list[str]) -> bool:
    """Whether a line is "/word"; a path has a second slash or stands among other words."""
    return len(words) == 1 and words[0].startswith("/") and "/" not in words[0][1:]
