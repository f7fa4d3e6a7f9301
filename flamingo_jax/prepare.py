"""Prepares data, and looks at it before a run does.

    python -m flamingo_jax.prepare obelics --input='data/train-*.parquet' --output=data/obelics
    python -m flamingo_jax.prepare validate --config=configs/quickstart.py:flamingo
    python -m flamingo_jax.prepare validate --source=pairs/webdataset --paths='laion/*.tar'
    python -m flamingo_jax.prepare preview --config=configs/quickstart.py:flamingo --output=p.html
    python -m flamingo_jax.prepare m3w --help

Every command tells its flags with --help. Exit codes: 0; 1 the data cannot be used as it is
(`validate`), or nothing could be had (`obelics`); 3 something to correct, said in one line; 130
stopped by Ctrl-C. See `docs/data/prepare.md`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from flamingo_jax import command_line
from flamingo_jax.config import RunConfig, resolve
from flamingo_jax.core.errors import UserError, exit_on_user_error
from flamingo_jax.preparation.named import check_name
from flamingo_jax.training.interruption import INTERRUPTED_EXIT_CODE


def main(arguments: Sequence[str]) -> int:
    """Runs a command.

    Args:
        arguments: the command's name and its arguments.

    Returns:
        The exit code.

    Raises:
        UserError: there is no such command, or what the command says.
    """
    if arguments and arguments[0] in ("-h", "--help"):
        print(_help())
        return 0
    if not arguments:
        raise UserError(f"give a command: {', '.join(_COMMANDS)}; see --help")
    name, *rest = arguments
    check_name(f"command {name!r}", name, _COMMANDS)
    run, _ = _COMMANDS[name]
    return run(rest)


def load_config(config: str, overrides: Sequence[str]) -> RunConfig:
    """The resolved config that --config and its overrides name.

    Raises:
        UserError: see `command_line.parse` and `resolve`.
    """
    command_line.parse(["prepare", f"--config={config}", *overrides], needs_workdir=False)
    return resolve(command_line.CONFIG.value)


# Each command is loaded when it is asked for: no other waits for its libraries.


def _m3w(arguments: Sequence[str]) -> int:
    from flamingo_jax.picture_embedder import load_picture_embedder
    from flamingo_jax.preparation.m3w import command

    return command.main(arguments, load_picture_embedder)


def _obelics(arguments: Sequence[str]) -> int:
    from flamingo_jax.preparation.obelics import command

    return command.main(arguments)


def _validate(arguments: Sequence[str]) -> int:
    from flamingo_jax.preparation.validation import command

    return command.main(arguments, load_config)


def _preview(arguments: Sequence[str]) -> int:
    from flamingo_jax.preparation.preview import command

    return command.main(arguments, load_config, command_line.quiet_loading)


_COMMANDS: Mapping[str, tuple[Callable[[Sequence[str]], int], str]] = {
    "m3w": (_m3w, "makes interleaved pages of web archives, as the paper made M3W"),
    "obelics": (_obelics, "fetches the pictures of OBELICS"),
    "validate": (_validate, "reads samples of datasets and says what can be used"),
    "preview": (_preview, "writes an HTML page of examples exactly as the model gets them"),
}


def _help() -> str:
    title, _, rest = (__doc__ or "").strip().partition("\n\n")
    commands = "\n".join(f"    {name:<10} {what}" for name, (_, what) in _COMMANDS.items())
    return f"{title}\n\n{commands}\n\nFor example:\n\n{rest}"


@exit_on_user_error
def _run() -> int:
    try:
        return main(sys.argv[1:])
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED_EXIT_CODE


if __name__ == "__main__":
    sys.exit(_run())
