"""The command line: what is refused in one line, and what an injected embedder is given."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.preparation.m3w import command
from flamingo_jax.preparation.m3w.near_duplicates import Embedder
from tests.preparation.m3w import crawl


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    crawl.write_folder(tmp_path)
    crawl.write_evaluation(tmp_path / "evaluation")
    return [f"--input={tmp_path}/site/*.html", f"--output={tmp_path}/out", *crawl.OVERRIDES]


def _refused(arguments: list[str]) -> str:
    with pytest.raises(UserError) as caught:
        command.main(arguments)
    return str(caught.value)


def test_wrong_arguments(tmp_path: Path, arguments: list[str]) -> None:
    assert "--input" in _refused(arguments[1:])
    assert "--output" in _refused(arguments[:1])
    assert "'--region=x'; options of Beam need --runner" in _refused([*arguments, "--region=x"])
    assert "config.min_wrds does not exist" in _refused([*arguments, "--config.min_wrds=3"])
    assert "no such folder" in _refused([*arguments, f"--images={tmp_path}/none"])
    assert "no file matches" in _refused([f"--input={tmp_path}/none/*.html", *arguments[1:]])
    assert "no file matches" in _refused([*arguments, f"--evaluation_images={tmp_path}/none/*"])
    assert "--evaluation_images" in _refused([*arguments, "--embedder=runs/x"])
    embedder = ["--embedder=runs/x", f"--evaluation_images={tmp_path}/evaluation"]
    assert "--embedder: no trained embedder" in _refused([*arguments, *embedder])
    (tmp_path / "site" / "x.txt").write_text("")
    assert "neither HTML nor WARC" in _refused([f"--input={tmp_path}/site/*.*", *arguments[1:]])
    assert not list((tmp_path / "out").glob("*.tar"))


@pytest.mark.parametrize(
    ("package", "more", "message"),
    [
        ("apache_beam", ["--runner=FlinkRunner"], "this runner needs Apache Beam"),
        ("warcio", ["--input={folder}/a.warc"], "reading WARC files needs warcio"),
    ],
)
def test_missing_packages(
    tmp_path: Path,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    package: str,
    more: list[str],
    message: str,
) -> None:
    load = builtins.__import__

    def without_package(name: str, *others: Any, **options: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return load(name, *others, **options)

    (tmp_path / "a.warc").write_bytes(b"")
    monkeypatch.setattr(builtins, "__import__", without_package)
    more = [argument.format(folder=tmp_path) for argument in more]
    assert message in _refused([*arguments, *more])
    assert not (tmp_path / "out").exists()


def test_an_embedder_is_loaded_by_its_name(tmp_path: Path, arguments: list[str]) -> None:
    loaded, seen = [], []

    def make_embedder(name: str) -> Embedder:
        loaded.append(name)

        def embed(pictures: list[bytes]) -> np.ndarray:
            seen.extend(pictures)
            return np.ones((len(pictures), 4), np.float32)

        return embed

    more = ["--embedder=runs/x", f"--evaluation_images={tmp_path}/evaluation"]
    assert command.main([*arguments, *more], make_embedder) == 0
    assert set(loaded) == {"runs/x"}
    assert seen[0] == next(iter(crawl.EVALUATION.values()))
    found = json.loads((tmp_path / "out" / "yield.json").read_text())
    # To this embedder all pictures are alike.
    assert found["pages"]["out"] == 0
    assert found["settings"]["embedder"] == "runs/x"
    assert found["images"]["dropped"]["near_duplicate"] == crawl.IMAGES_OUT + 1


def test_what_is_printed(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "| not_english | 1 | 8.3% |" in printed
    assert f'paths=("{tmp_path}/out/m3w-{{00000..00002}}.tar",)' in printed
    none = [*arguments[:1], f"--output={tmp_path}/none", "--config.min_words=5000"]
    assert command.main(none) == 0
    assert "no page is left" in capsys.readouterr().out
