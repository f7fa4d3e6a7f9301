"""The `prepare` entry point: its commands, their exit codes, and mistakes in one line."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from flamingo_jax import prepare
from flamingo_jax.core.errors import UserError

REPOSITORY = Path(__file__).parents[1]
FLAMINGO = "--config=configs/quickstart.py:flamingo"


def run(*arguments: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the entry point; indexes of files go into the folder `home`."""
    return subprocess.run(
        [sys.executable, "-m", "flamingo_jax.prepare", *arguments],
        cwd=REPOSITORY,
        env=os.environ | ({"HOME": str(home)} if home else {}),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_help_lists_commands_and_each_command_its_flags(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert prepare.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in ("m3w", "obelics", "validate", "preview"):
        assert f"\n    {name} " in text
    for name in ("obelics", "validate", "preview"):
        with pytest.raises(SystemExit) as caught:
            prepare.main([name, "--help"])
        assert caught.value.code == 0
        text = capsys.readouterr().out
        assert "for example:\n  python -m flamingo_jax.prepare " in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a command: m3w, obelics, validate, preview"),
        (["validat"], "command 'validat' does not exist: did you mean 'validate'?"),
        (["obelics"], "required: --input, --output"),
        (["validate"], "give --config or --source, one of them"),
        (["validate", FLAMINGO, "--source=world/pages"], "one of them"),
        (["validate", FLAMINGO, "--paths=x"], "--paths goes with --source"),
        (["validate", FLAMINGO, "--samples=0"], "argument --samples: '0': expected a whole"),
        (["validate", FLAMINGO, "--samples=all"], "'world/pages' of dataset 'pages' never ends"),
        (["validate", FLAMINGO, "--dataset=page"], "did you mean 'pages'?"),
        (["validate", FLAMINGO, "--config.data[0].sed=1"], "did you mean config.data[0].seed?"),
        (["validate", FLAMINGO, "--sample=1"], "Unknown command line flag 'sample'"),
        (["validate", "--source=world/page"], "did you mean 'world/pages'?"),
        (["validate", "--source=world/pages", "--config.x=1"], "unexpected argument"),
        (["preview", FLAMINGO], "required: --output"),
        (["preview", FLAMINGO, "--output=/nowhere/p.html"], "there is no folder /nowhere"),
        (["preview", "--config=none.py:x", "--output=p.html"], "which is no file"),
    ],
)
def test_a_mistake_is_said(arguments: list[str], said: str) -> None:
    with pytest.raises(UserError) as caught:
        prepare.main(arguments)
    assert said in str(caught.value)


def test_a_mistake_is_one_line_and_exit_code_3() -> None:
    done = run("validate", FLAMINGO, "--config.data[0].sed=1")
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr == (
        "error: config.data[0].sed does not exist: did you mean config.data[0].seed?\n"
    )


def test_validate_takes_a_config_with_overrides() -> None:
    done = run("validate", FLAMINGO, "--config.data[1].max_bad_share=0.25", "--samples=5", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["datasets"]
    assert [item["name"] for item in found] == ["pages", "noisy_pairs", "clean_pairs", "clips"]
    assert found[1]["max_bad_share"] == 0.25
    assert all(item["num_usable"] == 5 and item["tokens"] for item in found)


def _shard(path: Path, num_good: int, num_bad: int) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (40, 30)).save(picture, "JPEG")
    with tarfile.open(path, "w") as tar:
        for number in range(num_good + num_bad):
            data = picture.getvalue() if number < num_good else b"<html>"
            for suffix, content in (("jpg", data), ("txt", b"a picture")):
                member = tarfile.TarInfo(f"{number:04d}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(("num_bad", "exit_code"), [(1, 0), (3, 1)])
def test_validate_takes_files_without_a_config(
    tmp_path: Path, num_bad: int, exit_code: int
) -> None:
    _shard(tmp_path / "00000.tar", num_good=9, num_bad=num_bad)
    done = run(
        "validate", "--source=pairs/webdataset", f"--paths={tmp_path}/*.tar", "--vocabulary=world",
        "--samples=all", home=tmp_path,
    )  # fmt: skip
    assert done.returncode == exit_code, done.stderr
    assert f"not_an_image {num_bad}" in done.stdout
    assert "first bad" in done.stdout and "0009.jpg" in done.stdout
    assert "sizes           median 40 x 30" in done.stdout
    assert "tokens" in done.stdout


def test_preview_writes_a_page_of_the_overridden_config(tmp_path: Path) -> None:
    output = tmp_path / "p.html"
    done = run(
        "preview", FLAMINGO, "--config.data[0].max_text_length=31", "--dataset=pages",
        "--examples=2", "--start=7", f"--output={output}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    text = output.read_text()
    assert "position 7" in text and "position 8" in text and "position 9" not in text
    assert "of 31 tokens used" in text
    assert "noisy_pairs" not in text
