"""An evaluation from the command line that is killed goes on to the same files; and is rescored."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import jax
import pytest

from flamingo_jax.checkpoint.checkpointer import Checkpointer
from flamingo_jax.checkpoint.frozen import save_frozen
from flamingo_jax.config import to_json
from flamingo_jax.core.paths import partition
from flamingo_jax.evaluation import results
from flamingo_jax.evaluation.grounding_files import read_groundings
from flamingo_jax.evaluation.predictions import read_predictions
from flamingo_jax.training.stages import make_stage
from flamingo_jax.training.trained import CHECKPOINT_FOLDER, CONFIG_NAME, FROZEN_FOLDER
from tests.e2e import tiny_run
from tests.evaluation.benchmarks import miniatures

NUM_QUERIES = 24
NUM_CONTROLS = 4
SECONDS = 120.0
FOLDERS, SUMMARIES = ("predictions", "grounding"), ("results.jsonl", "attention.jsonl", "table.md")
NUM_ATTENTION = 3 + 4  # numbers of 0 and of 2 shots
NAMES = ("coco-0-1", "coco-0-1-swapped", "coco-2-1", "coco-2-1-swapped")

RESCORE = """
import sys
from flamingo_jax import command_line, evaluate
try:
    command_line.run_resolved(evaluate.main, evaluate.resolve_either)
except SystemExit as error:
    assert not error.code, error.code
assert not {"jax", "tensorflow", "haiku"} & set(sys.modules)
"""


def write_flamingo(workdir: Path) -> None:
    """The run folder of an untrained Flamingo, as training would write it."""
    config = tiny_run.make_config("flamingo")
    folder = workdir / config.stage
    folder.mkdir(parents=True)
    (folder / CONFIG_NAME).write_text(to_json(config), encoding="utf-8")
    stage = make_stage(config, workdir)
    params = tiny_run.random_parameters(jax.eval_shape(stage.init, jax.random.key(0)))
    trainable, frozen = partition(params, stage.is_trainable)
    name = save_frozen(workdir / FROZEN_FOLDER, frozen)
    with Checkpointer(folder / CHECKPOINT_FOLDER, keep=1) as checkpoints:
        checkpoints.save(config.steps, {"trainable": trainable}, {"frozen": name})


def write_coco(data_dir: Path) -> None:
    """The miniature with more test pictures."""
    path = miniatures.coco(data_dir) / "dataset_coco.json"
    content = json.loads(path.read_text())
    first = content["images"][0]
    for number in range(NUM_QUERIES - 2):
        name = miniatures.coco_name("val2014", number)
        said = [{"raw": f"picture {number} of a dog"}]
        content["images"].append(
            first | {"filename": name.partition("/")[2], "cocoid": number, "sentences": said}
        )
        miniatures.draw(path.parent, [name])
    path.write_text(json.dumps(content))


def arguments(workdir: Path, data_dir: Path, more: Sequence[str] = ()) -> list[str]:
    flags = {
        "tasks": "coco", "shots": "0,2", "first_seed": 1, "controls": "swapped", "batch_size": 2,
        "num_control_queries": NUM_CONTROLS, "max_decode_length": 6, "data_dir": data_dir,
    }  # fmt: skip
    return [
        "--config=configs/evaluation/paper.py", f"--workdir={workdir}",
        *(f"--config.{name}={value}" for name, value in flags.items()), *more,
    ]  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    printed, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    return printed


def kill_when_begun(process: subprocess.Popen[str], path: Path, lines: int) -> None:
    """Kills a process as soon as a file has some lines."""
    deadline = time.monotonic() + SECONDS
    while not path.exists() or path.read_bytes().count(b"\n") < lines:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def contents(workdir: Path) -> dict[str, list[str]]:
    """All that an evaluation has written, lines sorted."""
    folders = [workdir / name for name in FOLDERS]
    files = [path for folder in folders for path in folder.iterdir()]
    files += [workdir / name for name in SUMMARIES if (workdir / name).exists()]
    return {
        str(path.relative_to(workdir)): sorted(path.read_text().splitlines()) for path in files
    }


def test_a_killed_evaluation_ends_with_the_same_files(tmp_path: Path) -> None:
    unbroken, broken, data_dir = tmp_path / "unbroken", tmp_path / "broken", tmp_path / "data"
    write_flamingo(unbroken)
    shutil.copytree(unbroken, broken)
    write_coco(data_dir)
    environment = tiny_run.environment(tmp_path / "compiled")

    def start(workdir: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "flamingo_jax.evaluate", *arguments(workdir, data_dir)],
            cwd=tiny_run.REPOSITORY, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    printed = finish(start(unbroken))
    assert "[4/4] coco, 2 shots, seed 1, swapped pictures: cider" in printed

    path = broken / "predictions" / "coco-2-1.jsonl"
    kill_when_begun(start(broken), path, lines=5)
    answered = len(list(read_predictions(path)))
    assert 5 <= answered < NUM_QUERIES  # else nothing was interrupted
    # One more is answered, but in the middle of a batch, and half of the next one is written.
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(lines[: answered - answered % 2 - 1]) + b"\n" + lines[0][:20])
    # Of what is measured beside it, so much was on disk.
    measured = broken / "grounding" / "coco-2-1.jsonl"
    lines = measured.read_bytes().split(b"\n")
    measured.write_bytes(lines[0] + b"\n" + lines[1][:20])
    before = (broken / "predictions" / "coco-0-1.jsonl").stat().st_mtime_ns
    finish(start(broken))
    assert (broken / "predictions" / "coco-0-1.jsonl").stat().st_mtime_ns == before

    assert contents(broken) == contents(unbroken)
    files = {
        f"{folder}/{name}{suffix}"
        for folder in FOLDERS for name in NAMES for suffix in (".json", ".jsonl")
    }  # fmt: skip
    assert set(contents(broken)) == {*files, *SUMMARIES}
    groundings = [list(read_groundings(broken / "grounding" / f"{name}.jsonl")) for name in NAMES]
    assert [len(lines) for lines in groundings] == [NUM_CONTROLS] * len(NAMES)
    # A model that does not look would pass all of the above.
    assert len({line.score for line in read_predictions(path)}) == NUM_QUERIES

    _rescore(broken, data_dir, environment)


def _rescore(workdir: Path, data_dir: Path, environment: dict[str, str]) -> None:
    """Rescoring loads no model, needs no data, and changes nothing."""
    before = contents(workdir)
    for name in SUMMARIES:
        (workdir / name).unlink()
    shutil.rmtree(workdir / "flamingo")
    shutil.rmtree(data_dir)
    flags = arguments(workdir, data_dir, ["--config.rescore=true"])
    done = subprocess.run(
        [sys.executable, "-c", RESCORE, *flags],
        cwd=tiny_run.REPOSITORY, env=environment, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert contents(workdir) == before
    assert len(results.read(workdir / "results.jsonl")) == 2 * len(NAMES) + NUM_ATTENTION


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--config.tasks=coca"], "there is no task 'coca'; there are coco, flickr30k, "),
        (["--config.shots=-1"], "config.shots is (0, 2, -1): expected none below 0"),
        (["--config.shotz=4"], "config.shotz does not exist: did you mean config.shots?"),
        ([], "there is no folder '{data}/coco'; get the files from https://cs.stanford.edu/"),
    ],
)
def test_what_is_to_be_mended_is_said_in_one_line(
    tmp_path: Path, more: list[str], said: str
) -> None:
    # Without a run: what is wrong with the config or the files is said first.
    done = subprocess.run(
        [sys.executable, "-m", "flamingo_jax.evaluate", *arguments(tmp_path, tmp_path, more)],
        cwd=tiny_run.REPOSITORY, env=dict(os.environ), text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and said.format(data=tmp_path) in line
