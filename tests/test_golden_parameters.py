"""The parameters of the quickstart's three stages, held against the lists in tests/golden.

Checkpoints, freezing, weight decay, clipping and sharding all go by the path of a parameter, so a
renamed module breaks every saved run. Where that is meant, write the lists anew and commit them:

    python -m tests.test_golden_parameters
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import pytest

from configs import quickstart
from flamingo_jax.config import STAGES, resolve
from flamingo_jax.core.paths import flatten
from flamingo_jax.training.stages import make_stage

GOLDEN = Path(__file__).parent / "golden"
REWRITE = "python -m tests.test_golden_parameters"

Description = Mapping[str, Any]


def parameters(stage: str) -> dict[str, Description]:
    """Path -> dtype, shape and whether it is trained, of all parameters of a stage."""
    config = resolve(quickstart.get_config(stage))
    described = make_stage(config, tempfile.gettempdir())
    leaves = flatten(jax.eval_shape(described.init, jax.random.key(0)))
    return {
        path: {
            "dtype": leaf.dtype.name,
            "shape": list(leaf.shape),
            "trainable": described.is_trainable(path),
        }
        for path, leaf in leaves.items()
    }


def to_json(found: Mapping[str, Description]) -> str:
    """One parameter a line, so that a diff reads well."""
    lines = [f"{json.dumps(path)}: {json.dumps(found[path])}" for path in sorted(found)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def differences(golden: Mapping[str, Description], found: Mapping[str, Description]) -> list[str]:
    """One line for every parameter that is gone, new, or another."""
    lines = []
    for path in sorted(golden.keys() | found.keys()):
        if path not in found:
            lines.append(f"gone:    {path} {dict(golden[path])}")
        elif path not in golden:
            lines.append(f"new:     {path} {dict(found[path])}")
        elif golden[path] != found[path]:
            lines.append(f"changed: {path} {dict(golden[path])} -> {dict(found[path])}")
    return lines


@pytest.mark.parametrize("stage", STAGES)
def test_parameters_are_those_of_the_golden_list(stage: str) -> None:
    golden = json.loads((GOLDEN / f"{stage}.json").read_text(encoding="utf-8"))
    lines = differences(golden, parameters(stage))
    assert not lines, (
        f"the parameters of stage {stage} are not those of tests/golden/{stage}.json, and saved"
        " runs will not load:\n  " + "\n  ".join(lines) + "\nIf that is meant, write the lists"
        f" anew with `{REWRITE}` and commit them."
    )


def test_every_difference_is_told() -> None:
    golden = {"a/w": {"shape": [1]}, "b/w": {"shape": [2]}, "c/w": {"shape": [3]}}
    found = {"b/w": {"shape": [2]}, "c/w": {"shape": [4]}, "d/w": {"shape": [5]}}
    assert differences(golden, golden) == []
    assert [line.split()[:2] for line in differences(golden, found)] == [
        ["gone:", "a/w"],
        ["changed:", "c/w"],
        ["new:", "d/w"],
    ]


def test_the_stages_share_the_paths_of_the_vision_encoder() -> None:
    """What the contrastive stage trains, Flamingo finds under the same paths."""
    prefix = "vision_encoder/"
    found = {
        stage: {path for path in parameters(stage) if path.startswith(prefix)}
        for stage in ("contrastive", "flamingo")
    }
    assert found["contrastive"] == found["flamingo"] != set()


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name in STAGES:
        (GOLDEN / f"{name}.json").write_text(to_json(parameters(name)), encoding="utf-8")
        print(f"wrote {GOLDEN / name}.json")
