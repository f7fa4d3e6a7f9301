"""Compiles the train step of a config for a pod that is not there, and says whether it fits.

    python -m flamingo_jax.plan --config=configs/flamingo_80b.py --topology=v4:8x12x16
    python -m flamingo_jax.plan --config=configs/quickstart.py:flamingo --topology=cpu:1 \\
        --output=plan.json

TPU topologies need libtpu (`pip install 'flamingo_jax[tpu]'`) and no TPU. Exit codes: 0 it fits;
1 it does not; 3 something to correct, said in one line.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from absl import flags

from flamingo_jax import command_line
from flamingo_jax.config import RunConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.core.files import write_atomic
from flamingo_jax.planning import topology as topologies

DOES_NOT_FIT_EXIT_CODE = 1

TOPOLOGY = flags.DEFINE_string(
    "topology", None, "Chips and torus: v4:8x12x16, v5e:16x16, ..., or cpu:8 for host devices."
)
OUTPUT = flags.DEFINE_string("output", None, "File that the plan is written to as JSON.")
EFFORT = flags.DEFINE_float(
    "effort", -1.0, "Of the TPU's compiler: -1 compiles fastest, 0 gives the program of a run."
)
SUGGEST = flags.DEFINE_bool("suggest", False, "If it does not fit: finds changes that do.")


def main(config: RunConfig) -> int:
    """Plans the config; returns the exit code."""
    if not TOPOLOGY.value:
        raise UserError("--topology is missing; for example --topology=v4:8x12x16 or cpu:8")
    topology = topologies.parse_topology(TOPOLOGY.value)
    topologies.check_mesh(topology, config.mesh)
    if not -1.0 <= EFFORT.value <= 1.0:
        raise UserError(f"--effort={EFFORT.value}: expected a number from -1 to 1")
    output = Path(OUTPUT.value).expanduser() if OUTPUT.value else None
    if output and not output.absolute().parent.is_dir():
        raise UserError(f"--output={output}: there is no folder {output.absolute().parent}")
    topologies.prepare_environment(topology)
    # Loads JAX, which reads the environment just made.
    with command_line.quiet_loading():
        from flamingo_jax.planning import plan_report
        from flamingo_jax.planning.compiled import CompiledStep, compile_step
        from flamingo_jax.planning.suggest import suggest
        from flamingo_jax.planning.turns import largest_turn

    config = largest_turn(config)
    devices = topologies.devices(topology)
    start = time.monotonic()

    def progress(line: str) -> None:
        print(f"[{time.monotonic() - start:5.0f} s] {line}", file=sys.stderr, flush=True)

    def compile_config(candidate: RunConfig) -> CompiledStep:
        return compile_step(candidate, topology, devices, progress, EFFORT.value)

    step = compile_config(config)
    suggestions = None
    if SUGGEST.value and not step.fits:
        model_is_nested = "model" in command_line.CONFIG.value
        field = "config.model.remat" if model_is_nested else "config.remat"
        suggestions = suggest(config, compile_config, progress, remat_field=field)
    fields = plan_report.plan_fields(config, topology, step, suggestions)
    print(plan_report.to_text(fields), end="")
    if output:
        write_atomic(output, plan_report.to_json(fields))
    return 0 if step.fits else DOES_NOT_FIT_EXIT_CODE


if __name__ == "__main__":
    command_line.run_without_workdir(main)
