"""The chat's entry point: through a pipe, and what it says when something is wrong."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dialogue import tiny
from tests.e2e import tiny_run

REPOSITORY = Path(__file__).resolve().parents[1]


def _chat(
    *arguments: str, lines: str = "", compiled: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flamingo_jax.chat", *arguments],
        cwd=REPOSITORY,
        env=tiny_run.environment(compiled) if compiled else None,
        input=lines,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_run(tmp_path_factory.mktemp("chat") / "run")


def test_a_conversation_through_a_pipe(run: Path, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(tiny.png())
    done = _chat(
        f"--workdir={run}",
        "--max_answer_length=6",
        lines=f"what is in {tmp_path}/cat.png ?\nand {tmp_path}/dog.jpg ?\n/beam\nwhat is it?\n",
        compiled=tmp_path / "compiled",
    )
    assert done.returncode == 0, done.stderr
    answers = done.stdout.splitlines()
    assert [line.startswith("Flamingo:") for line in answers] == [True, True]
    assert done.stderr.splitlines() == [
        "note: the model takes 512 tokens at a time; examples of the prompt left out: 1",
        f"({tmp_path}/dog.jpg: no such file, or it may not be read)",
        "(answers are found by beam search)",
    ]


def test_help_tells_the_flags() -> None:
    done = _chat("--help")
    assert done.returncode == 0
    for flag in ("--workdir", "--prompt", "--serve", "--host", "--max_length"):
        assert flag in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workdir=none"], "no checkpoint of the flamingo stage in "),
        ([], "the following arguments are required: --workdir"),
        (["--workdir=none", "--promt=question"], "unrecognized arguments: --promt=question"),
        (["--workdir=none", "--prompt=answer"], "invalid choice: 'answer'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], said: str, tmp_path: Path) -> None:
    done = _chat(*arguments)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--max_length=64"], "the dialogue prompt takes 87 tokens"),
        (["--max_length=64", "--max_answer_length=64"], "must be at least 1 and below"),
        (["--example", "a", "b"], "--example belongs to --prompt=question"),
        (["--prompt_pictures", "a.png", "b.png", "c.png"], "a.png: no such file"),
    ],
)
def test_what_does_not_fit_the_run_is_said_in_one_line(
    run: Path, arguments: list[str], said: str
) -> None:
    done = _chat(f"--workdir={run}", *arguments)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert said in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("gradio") is not None, reason="gradio is installed")
def test_the_page_needs_gradio() -> None:
    done = _chat("--workdir=none", "--serve")
    assert done.returncode == 3
    assert "--serve needs gradio, which is not installed: see docs/chat.md" in done.stderr
