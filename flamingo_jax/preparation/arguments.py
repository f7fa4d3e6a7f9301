"""Arguments of the commands: argparse, but every mistake is one line, as everywhere."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

from flamingo_jax.core.errors import UserError


class ArgumentParser(argparse.ArgumentParser):
    """Raises a `UserError` where argparse would print a page and leave."""

    def __init__(self, command: str, description: str, example: str) -> None:
        """Makes the parser of a command.

        Args:
            command: its name, as typed after `python -m flamingo_jax.prepare`.
            description: what it does.
            example: arguments to show, one command a line.
        """
        prog = f"python -m flamingo_jax.prepare {command}"
        examples = "\n".join(f"  {prog} {line}" for line in example.strip().splitlines())
        super().__init__(
            prog=prog,
            description=description,
            epilog=f"for example:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._command = command

    def error(self, message: str) -> NoReturn:
        """Raises a UserError that says what is wrong with the arguments."""
        raise UserError(f"{self._command}: {message}; see `{self.prog} --help`")


def at_least(least: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number, `least` or more."""

    def parse(text: str) -> int:
        try:
            value = int(text.replace("_", ""))
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, {least} or more")
        return value

    return parse


def above_zero(text: str) -> float:
    """The type of an argument that is a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0")
    return value


def share(text: str) -> float:
    """The type of an argument that is a share, from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number from 0 to 1")
    return value
