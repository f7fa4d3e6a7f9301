"""Puts a trained language model into the package, where runs find it by name.

    python -m flamingo_jax.export_pretrained --workdir=runs/language_model

Writes the parameters of the newest checkpoint of `WORKDIR/language_model`, as they are, to
`flamingo_jax/pretrained/<name>/<content hash>`, and removes the one that had the name before. A
config then starts from them with `init_from = "<name>"`. `make language-model` ends with this.
Exit codes: 0 written; 3 something to correct, said in one line.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from flamingo_jax import command_line
from flamingo_jax.core.errors import UserError, exit_on_user_error

DEFAULT_NAME = "world_language_model"
MAX_BYTES = 8_000_000
"""Files of this size are what the package can carry in its history."""

_STAGE = "language_model"


class _Parser(argparse.ArgumentParser):
    """Flags whose mistakes are one line, as at the other entry points."""

    def error(self, message: str) -> NoReturn:
        """Raises a UserError in place of printing the usage."""
        raise UserError(f"{message}; for example --workdir=runs/language_model")


def main(arguments: Sequence[str]) -> int:
    """Exports by command-line arguments (without the program's name); returns the exit code."""
    parser = _Parser(description=str(__doc__).splitlines()[0], allow_abbrev=False)
    parser.add_argument("--workdir", required=True, help="folder of the run")
    parser.add_argument("--name", default=DEFAULT_NAME, help="by which configs call the parameters")
    parser.add_argument("--output", default=None, help="default: flamingo_jax/pretrained")
    flags = parser.parse_args(arguments)
    if not flags.name or Path(flags.name).name != flags.name or flags.name.startswith("."):
        raise UserError(f"--name={flags.name!r} is no plain name, such as {DEFAULT_NAME}")
    folder, size = export(flags.workdir, flags.output, flags.name)
    print(f"content hash {folder.name}, {size:,} bytes in {folder}")
    return 0


def export(workdir: str | Path, output: str | Path | None, name: str) -> tuple[Path, int]:
    """Writes a run's language model as `OUTPUT/<name>/<content hash>`, the only one of its name.

    Args:
      workdir: the run's folder, with the language-model stage's checkpoints.
      output: holds a folder for each name; `flamingo_jax/pretrained` if not given.
      name: of the parameters.

    Returns:
      (the folder that was written, the bytes of all its files).

    Raises:
      UserError: no checkpoint, more than `MAX_BYTES`, or `output` is not writable. What had the
        name before is then as it was.
    """
    # These load JAX, which takes seconds: not for a misspelt flag.
    with command_line.quiet_loading():
        from flamingo_jax.checkpoint.frozen import save_frozen
        from flamingo_jax.core.files import prepare_folder
        from flamingo_jax.training.stages import load_stage
        from flamingo_jax.training.trained import PRETRAINED_FOLDER

    trained = load_stage(workdir, _STAGE)
    output = prepare_folder(output or PRETRAINED_FOLDER)
    with tempfile.TemporaryDirectory(dir=output, prefix=f".{name}-") as staged:
        written = Path(staged) / save_frozen(staged, trained.params)
        size = sum(path.stat().st_size for path in written.rglob("*") if path.is_file())
        if size > MAX_BYTES:
            raise UserError(
                f"the parameters of {trained.checkpoint} take {size:,} bytes, more than the"
                f" {MAX_BYTES:,} that the package may carry: train a smaller model, or name its"
                " run folder in config.init_from"
            )
        target = prepare_folder(output / name)
        for older in target.iterdir():
            shutil.rmtree(older)
        return written.rename(target / written.name), size


if __name__ == "__main__":
    sys.exit(exit_on_user_error(main)(sys.argv[1:]))
