"""Errors that the user can put right, and how entry points report them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TypeVar

USER_ERROR_EXIT_CODE = 3
"""Exit code of a run that stopped because of what the user gave it.

Launchers restart a run that exits with 42 or 127-255, and never one that exits with 3: a misspelt
field stays misspelt however often the run is started again.
"""

Result = TypeVar("Result")


class UserError(Exception):
    """What the user gave is wrong: one line that says what, where, and what would be right.

    Raise it for causes outside the code (a config field, a path, a file), never for bugs.
    Entry points print the line and exit with code 3, without a traceback.
    """

    def __str__(self) -> str:
        """The message on one line, whatever line breaks its parts brought along."""
        return " ".join(super().__str__().split())


def exit_on_user_error(main: Callable[..., Result]) -> Callable[..., Result]:
    """Wraps an entry point so that a `UserError` becomes one line on stderr and exit code 3.

    Args:
      main: the entry point, for example the function given to `absl.app.run`.

    Returns:
      A function with the same arguments and result; every other exception passes through.
    """

    @functools.wraps(main)
    def guarded_main(*args: object, **kwargs: object) -> Result:
        try:
            return main(*args, **kwargs)
        except UserError as error:
            sys.stdout.flush()
            print(f"error: {error}", file=sys.stderr, flush=True)
            sys.exit(USER_ERROR_EXIT_CODE)

    return guarded_main
