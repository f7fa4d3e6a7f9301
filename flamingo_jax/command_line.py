"""The command line of all entry points: flags, config overrides, and one line on every error.

`ml_collections.config_flags` raises its errors while flags are parsed, as bare AttributeErrors and
the like; here they become the `UserError` that names the flag and what would be right.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

# TensorFlow, which the data pipeline imports later, reads this once and is chatty without it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import app, flags, logging
from ml_collections import config_flags

from flamingo_jax.config import RunConfig, resolve
from flamingo_jax.config_fields import unknown_field
from flamingo_jax.core.errors import UserError, exit_on_user_error
from flamingo_jax.training.interruption import INTERRUPTED_EXIT_CODE

_EXAMPLE = "--config=configs/quickstart.py:flamingo --workdir=runs/quickstart"
_OVERRIDE = re.compile(r"--?(?:no)?config\.([^=]+)(?:=.*)?", re.DOTALL)
_HELP = frozenset({"--help", "-help", "--helpshort", "--helpfull", "-h"})
_PART = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")

Config = TypeVar("Config")
"""What a config file's result is resolved into: nearly always a `RunConfig`."""

CONFIG = config_flags.DEFINE_config_file(
    "config", help_string="Config file and stage: FILE.py:STAGE.", lock_config=True
)
WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; holds all its stages.")


def run(main: Callable[[RunConfig, Path], int]) -> None:
    """Runs an entry point and leaves the process with its exit code.

    Exit codes: what `main` returns; 3 with one line on stderr for a `UserError`; 130 for Ctrl-C.

    Args:
      main: `main(config, workdir) -> exit code`.
    """
    run_resolved(main, resolve)


def run_resolved(
    main: Callable[[Config, Path], int], resolve_config: Callable[[Mapping[str, Any]], Config]
) -> None:
    """As `run`, for an entry point that takes config files of other kinds too.

    Args:
      main: `main(config, workdir) -> exit code`.
      resolve_config: from what a config file gives, after all overrides, to the config.
    """
    _run(lambda config: main(config, Path(str(WORKDIR.value))), resolve_config, parse)


def run_without_workdir(main: Callable[[RunConfig], int]) -> None:
    """As `run`, for an entry point that only looks at the config; --workdir is not read.

    Args:
      main: `main(config) -> exit code`. Flags of its own are `absl.flags`, defined beside it.
    """
    _run(main, resolve, functools.partial(parse, needs_workdir=False))


def _run(
    main: Callable[[Config], int],
    resolve_config: Callable[[Mapping[str, Any]], Config],
    flags_parser: Callable[..., list[str]],
) -> None:
    def parsed_main(arguments: Sequence[str]) -> None:
        del arguments
        if not any(re.match("--?(verbosity|v)=", argument) for argument in sys.argv):
            # absl's default is INFO, where the checkpoint library writes a page for each save.
            logging.set_verbosity(logging.WARNING)
        sys.exit(main(resolve_config(CONFIG.value)))

    @exit_on_user_error
    def guarded() -> None:
        app.run(parsed_main, flags_parser=flags_parser)

    try:
        guarded()
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(INTERRUPTED_EXIT_CODE)


@contextlib.contextmanager
def quiet_loading() -> Iterator[None]:
    """Holds back what C++ libraries write to stderr while they are imported.

    TensorFlow tells on every machine without a GPU that there is none. What was held back is shown
    if loading fails.
    """
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)


def parse(arguments: Sequence[str], *, needs_workdir: bool = True) -> list[str]:
    """Parses all flags.

    Args:
      arguments: the program's name and its arguments.
      needs_workdir: whether --workdir must be among them.

    Returns:
      The program's name; there are no positional arguments.

    Raises:
      UserError: --config or --workdir missing, no such file, stage, flag or field, or a value of
        the wrong type.
    """
    if _HELP.isdisjoint(arguments):
        _check_overrides(_load_config(arguments), arguments)
    try:
        rest = flags.FLAGS(list(arguments))
    except flags.Error as error:
        raise UserError(str(error)) from error
    if len(rest) > 1:
        raise UserError(f"unexpected argument {rest[1]!r}; for example {_EXAMPLE}")
    if needs_workdir and not WORKDIR.value:
        raise UserError(f"--workdir is missing; for example {_EXAMPLE}")
    return rest


def _load_config(arguments: Sequence[str]) -> Any:
    """The config that --config names, before overrides."""
    value = ""
    for index, argument in enumerate(arguments):
        if re.fullmatch(r"--?config", argument) and index + 1 < len(arguments):
            value = arguments[index + 1]
        elif match := re.fullmatch(r"--?config=(.*)", argument):
            value = match.group(1)
    if not value:
        raise UserError(f"--config is missing; for example {_EXAMPLE}")
    file = value.partition(":")[0]
    if not Path(file).is_file():
        raise UserError(f"--config names {file!r}, which is no file; for example {_EXAMPLE}")
    try:
        return flags.FLAGS["config"].parser.parse(value)
    except ModuleNotFoundError as error:
        raise UserError(
            f"--config={value}: {error}; run the command in the repository's folder, from which"
            " config files import one another"
        ) from error
    except (TypeError, ValueError) as error:
        # The parser puts a whole traceback into the message; its last line says what is wrong.
        said = str(error).strip().splitlines()[-1].partition(": ")[2]
        raise UserError(f"--config={value}: {said}") from error


def _check_overrides(config: Any, arguments: Sequence[str]) -> None:
    """Raises a UserError that names the first override of a field that does not exist."""
    for argument in arguments[1:]:
        match = _OVERRIDE.fullmatch(argument)
        if match and (problem := _find_problem(config, match.group(1))):
            raise UserError(problem)


def _find_problem(config: Any, field: str) -> str | None:
    """What is wrong with the first part of an override's path that does not exist."""
    path, holder = "config", config
    for match in _PART.finditer(field):
        name, index = match.groups()
        if isinstance(holder, list | tuple):
            if index is None:
                return f"{path} is a list: write {path}[0].{name} for the first of its items"
            if int(index) >= len(holder):
                return f"{path}[{index}] does not exist: {path} has {len(holder)} items"
            path, holder = f"{path}[{index}]", holder[int(index)]
        elif not hasattr(holder, "keys"):
            return f"{path} is {holder!r} in this config: there are no fields to set in it"
        elif name is None or name not in holder:
            return unknown_field(path, name or f"[{index}]", holder.keys())
        else:
            path, holder = f"{path}.{name}", holder[name]
    return None
