"""All of the video benchmarks, by name, from a folder of benchmarks."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.benchmarks.catalog import BENCHMARKS, open_benchmark
from tests.evaluation.benchmarks.clips_shown import check_clips
from tests.evaluation.benchmarks.miniature_clips import MINIATURES

NAMES = sorted(MINIATURES)
FILES = {"vid1450": "abcdefghijk_0_5"}
"""What MSVD-QA's miniature calls a file by its name of YouTube."""

OWN_SPLITS = {
    "kinetics700": "val", "vatex": "public-test", "msvdqa": "test", "msrvttqa": "test",
    "youcook2": "val", "ivqa": "test", "rareact": "test", "nextqa": "test", "star": "test",
}  # fmt: skip

NEEDED: Mapping[str, Sequence[str]] = {
    "kinetics700": ("train.csv", "annotations/val.csv", "train", "val"),
    "vatex": ("vatex_training_v1.0.json", "vatex_public_test_english_v1.1.json", "videos"),
    "msvdqa": ("train_qa.json", "test_qa.json", "YouTubeClips"),
    "msrvttqa": ("train_qa.json", "test_qa.json", "TrainValVideo", "TestVideo"),
    "youcook2": ("youcookii_annotations_trainval.json", "raw_videos"),
    "ivqa": ("train.csv", "test.csv", "videos"),
    "rareact": ("rareact.csv", "videos"),
    "nextqa": ("train.csv", "test.csv", "NExTVideo"),
    "star": ("STAR_train.json", "Charades_v1_480"),
}
FIRST_CLIPS = {
    "kinetics700": "--GkrdYZ9Tc_000000_000010", "vatex": "trainclip02_000001_000011",
    "msvdqa": "vid2", "msrvttqa": "video1", "youcook2": "fn9anlEL4FI", "ivqa": "ab_cdefghij",
    "rareact": "0w9U2ICnRnY", "nextqa": "3233088823", "star": "TJZ0P",
}  # fmt: skip
"""A clip of each miniature that can be spared."""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All miniatures side by side."""
    folder = tmp_path_factory.mktemp("benchmarks")
    for write in MINIATURES.values():
        write(folder)
    return folder


@pytest.mark.parametrize(
    ("name", "split"),
    [(name, "test") for name in NAMES]
    # RareAct has no training set to take a validation from.
    + [(name, "validation") for name in NAMES if name != "rareact"],
)
def test_every_item_shows_its_clip(data_dir: Path, name: str, split: str) -> None:
    benchmark = open_benchmark(name, str(data_dir), split)
    assert (benchmark.name, benchmark.split) == (
        name, OWN_SPLITS[name] if split == "test" else split,
    )  # fmt: skip
    check_clips(benchmark, FILES)
    _check_contract(benchmark)
    again = open_benchmark(name, str(data_dir), split)
    assert (again.queries, again.support) == (benchmark.queries, benchmark.support)


def _check_contract(benchmark: Benchmark) -> None:
    for items in (benchmark.queries, benchmark.support):
        assert len({item.id for item in items}) == len(items)
        for item in items:
            assert all(item.answers)
            options = item.candidates or benchmark.candidates
            assert item.label == -1 or item.answers == (options[item.label],)
    assert all(item.answers for item in benchmark.support)
    assert bool(benchmark.support) == (benchmark.name != "rareact")
    asked = {item.medium for item in benchmark.queries}
    assert not asked & {item.medium for item in benchmark.support}
    if not benchmark.candidates:
        # Classes are drawn clip by clip; the choice of shots passes over clips of the same video.
        videos = {_video(item.details, item.medium) for item in benchmark.queries}
        assert not videos & {_video(item.details, item.medium) for item in benchmark.support}
    assert len(set(benchmark.candidates)) == len(benchmark.candidates)


def _video(details: Mapping[str, str], medium: str) -> str:
    return details.get("video", medium)


@pytest.mark.parametrize(
    ("name", "missing"), [(name, file) for name in NAMES for file in NEEDED[name]]
)
def test_whatever_is_missing_is_named_with_where_to_get_it(
    data_dir: Path, tmp_path: Path, name: str, missing: str
) -> None:
    folder = tmp_path / name
    shutil.copytree(data_dir / name, folder)
    path = folder / missing
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(UserError) as caught:
        open_benchmark(name, str(tmp_path), "test")
    said = str(caught.value)
    assert said.startswith(f"{name}: there is no ") and f"'{missing}'" in said
    assert BENCHMARKS[name].where in said and BENCHMARKS[name].layout in said
    assert str(tmp_path) in said and "\n" not in said


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_benchmark_or_split_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"{name}: there is no folder '.*/{name}'; get the files"):
        open_benchmark(name, str(tmp_path), "test")
    with pytest.raises(UserError, match=f"{name}: there is no split 'train'"):
        open_benchmark(name, str(tmp_path), "train")


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_that_is_gone_is_left_out_if_it_is_named(
    data_dir: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / name
    shutil.copytree(data_dir / name, folder)
    clip = FIRST_CLIPS[name]
    (file,) = folder.rglob(f"{clip}.*")
    file.unlink()
    with pytest.raises(UserError, match=f"{name}: there is no clip .*add the line '{clip}' to"):
        check_clips(open_benchmark(name, str(tmp_path), "test"), FILES)
    (folder / "missing_clips.txt").write_text(f"{clip}\n")
    left = open_benchmark(name, str(tmp_path), "test")
    whole = open_benchmark(name, str(data_dir), "test")
    check_clips(left, FILES)
    assert left.candidates == whole.candidates
    num_whole = len(whole.queries) + len(whole.support)
    assert len(left.queries) + len(left.support) < num_whole


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_ask_is_told(data_dir: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    shutil.copytree(data_dir / name, folder)
    benchmark = open_benchmark(name, str(data_dir), "test")
    names = {item.medium.rpartition("/")[2] for item in benchmark.queries}
    (folder / "missing_clips.txt").write_text("\n".join(names))
    with pytest.raises(UserError, match=f"{name}: there is nothing to ask in"):
        open_benchmark(name, str(tmp_path), "test")


def test_every_reader_is_in_the_catalog() -> None:
    read: list[Callable[[str, str], Benchmark]] = [BENCHMARKS[name].read for name in NAMES]
    assert [function.__name__ for function in read] == [f"read_{name}" for name in NAMES]
    assert all(BENCHMARKS[name].folder == name for name in NAMES)
