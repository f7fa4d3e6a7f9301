"""The evaluation's entry point: what it says when something is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def _evaluate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flamingo_jax.evaluate", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("stage", "arguments", "said"),
    [
        ("flamingo", [], "no checkpoint of the flamingo stage in "),
        ("contrastive", [], "the config is that of stage 'contrastive'"),
        ("flamingo", ["--config.evaluation.num_querys=3"], "did you mean"),
        ("flamingo", ["--config.evaluation.num_queries=1"], "expected at least 2"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, stage: str, arguments: list[str], said: str
) -> None:
    done = _evaluate(f"--config=configs/quickstart.py:{stage}", f"--workdir={tmp_path}", *arguments)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []
