"""Clips by name: kinds of files, folders, tar shards, and those that cannot be got."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import clip_files
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles

ORIGIN = Origin(name="films", where="https://films.example", layout="films.json, clips/")


@pytest.fixture(autouse=True)
def _index_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _folder(tmp_path: Path, **clips: str) -> BenchmarkFolder:
    for name, content in clips.items():
        path = tmp_path / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return BenchmarkFolder(ORIGIN, str(tmp_path))


def _clips(tmp_path: Path, **clips: str) -> ClipFiles:
    return clip_files.open_clips(_folder(tmp_path, **clips), "clips")


@pytest.mark.parametrize("extension", [".mp4", ".webm", ".mkv", ".avi"])
def test_a_clip_may_be_of_any_kind(tmp_path: Path, extension: str) -> None:
    clips = _clips(tmp_path, **{f"a.b{extension}": "frames", f"a{extension}": "others"})
    found = clips.read(clips.medium("a.b"))
    assert (found.data, found.name) == (b"frames", f"films: clips/a.b{extension}")


def test_the_folder_of_a_clip_may_be_left_out(tmp_path: Path) -> None:
    clips = _clips(tmp_path, **{"x/one.mp4": "in it", "one.mp4": "beside", "two.avi": "beside"})
    assert clips.read(clips.medium("x/one")).data == b"in it"
    assert clips.read(clips.medium("x/two")).data == b"beside"


def test_clips_lie_in_tar_shards_as_well(tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.write_text("packed")
    for number, name in enumerate(("clips/x/one.mp4", "two.webm")):
        with tarfile.open(tmp_path / f"clips-{number}.tar", "w") as shard:
            shard.add(content, name)
    clips = _clips(tmp_path)
    assert clips.read(clips.medium("x/one")).name == "films: clips/x/one.mp4"
    assert clips.read(clips.medium("x/two")).data == b"packed"


def test_a_missing_clip_is_told_with_what_to_do(tmp_path: Path) -> None:
    clips = _clips(tmp_path, **{"two.mov": "not a kind that is looked for"})
    with pytest.raises(UserError) as caught:
        clips.read(clips.medium("x/two"))
    said = str(caught.value)
    assert said.startswith("films: there is no clip '") and "\n" not in said
    assert f"'{tmp_path}/clips/x/two' or '{tmp_path}/clips/two' (.mp4, .webm, .mkv, .avi)" in said
    assert "add the line 'two' to 'missing_clips.txt'" in said


def test_an_empty_clip_is_told(tmp_path: Path) -> None:
    clips = _clips(tmp_path, **{"one.mp4": ""})
    with pytest.raises(UserError, match=r"films: the clip '.*/clips/one.mp4' is empty"):
        clips.read(clips.medium("one"))


@pytest.mark.parametrize("stem", ["../secret", "/etc/x", "a\\b", "..", "a/../../secret", "a\0b"])
def test_names_that_lead_out_are_refused(tmp_path: Path, stem: str) -> None:
    (tmp_path / "secret.mp4").write_text("secret")
    clips = _clips(tmp_path, **{"one.mp4": "frames"})
    with pytest.raises(UserError, match=r"films: (the clip .* cannot be used|there is no clip)"):
        clips.read(clips.medium(stem))


def test_clips_that_cannot_be_got_are_named_in_a_file(tmp_path: Path) -> None:
    here = _folder(tmp_path)
    assert clip_files.missing_clips(here) == frozenset()
    (tmp_path / "missing_clips.txt").write_text("one\r\n\n  -two_3.mp4 \na.b\n")
    missing = clip_files.missing_clips(here)
    assert missing == {"one", "-two_3", "a.b"}
    assert clip_files.is_named("clips/x/one", missing)
    assert not clip_files.is_named("clips/one/x", missing)


@pytest.mark.parametrize(("start", "end"), [(3.0, 2.0), (-1.0, 2.0)])
def test_what_is_no_part_of_a_video_is_told(start: float, end: float) -> None:
    assert clip_files.segment(2, 2.5, "x") == {"start_seconds": 2, "end_seconds": 2.5}
    with pytest.raises(UserError, match=r"films.json\[3\]: a segment from .* is none of a video"):
        clip_files.segment(start, end, "films.json[3]")
