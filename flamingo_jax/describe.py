"""Says what a config is before anything is allocated: parameters, layout, bytes and FLOPs.

    python -m flamingo_jax.describe --config=configs/quickstart.py:flamingo
    python -m flamingo_jax.describe --config=configs/quickstart.py:flamingo --json

Only shapes are traced, so a model of any size is described in seconds on any machine, for the mesh
that its config names. Exit codes: 0; 3 something to correct (a misspelt field), said in one line.
"""

from __future__ import annotations

import os
import signal

from absl import flags

from flamingo_jax import command_line
from flamingo_jax.config import RunConfig

JSON = flags.DEFINE_bool("json", False, "Prints one JSON object instead of tables.")


def main(config: RunConfig) -> int:
    """Describes the config; returns the exit code."""
    # Shapes need no accelerator, and one that another process holds must not be waited for.
    os.environ["JAX_PLATFORMS"] = "cpu"
    # `| head` closes the pipe before the last line; that is no error.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # Loads JAX, which takes seconds: not for a misspelt field.
    with command_line.quiet_loading():
        from flamingo_jax.planning import report
        from flamingo_jax.planning.turns import largest_turn

    description = report.describe(largest_turn(config))
    print(report.to_json(description) if JSON.value else report.to_text(description))
    return 0


if __name__ == "__main__":
    command_line.run_without_workdir(main)
