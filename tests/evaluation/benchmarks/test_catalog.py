"""All of the paper's benchmarks, by name, from a folder of benchmarks."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.catalog import BENCHMARKS, open_benchmark
from tests.data.buckets import BUCKET, bucket_in
from tests.evaluation.benchmarks import miniature_clips, miniatures
from tests.evaluation.benchmarks.clips_shown import check_clips
from tests.evaluation.benchmarks.pictures_shown import check_pictures

REPOSITORY = Path(__file__).resolve().parents[3]

CLIPS = miniature_clips.MINIATURES
MINIATURES = {**miniatures.MINIATURES, **CLIPS}
NAMES = sorted(MINIATURES)
FILES = {"vid1450": "abcdefghijk_0_5"}
"""What MSVD-QA's miniature calls a file by its name of YouTube."""

OWN_SPLITS = {
    "coco": "test", "flickr30k": "test", "vqav2": "val", "okvqa": "val", "vizwiz": "val",
    "textvqa": "val", "visdial": "val", "hateful_memes": "test_seen", "imagenet": "val",
    "kinetics700": "val", "vatex": "public-test", "msvdqa": "test", "msrvttqa": "test",
    "youcook2": "val", "ivqa": "test", "rareact": "test", "nextqa": "test", "star": "test",
}  # fmt: skip

NEEDED: Mapping[str, Sequence[str]] = {
    "coco": ("dataset_coco.json", "train2014", "val2014"),
    "flickr30k": ("dataset_flickr30k.json", "flickr30k-images"),
    "vqav2": (
        "v2_OpenEnded_mscoco_train2014_questions.json", "v2_mscoco_train2014_annotations.json",
        "v2_OpenEnded_mscoco_val2014_questions.json", "v2_mscoco_val2014_annotations.json",
        "train2014", "val2014",
    ),
    "okvqa": (
        "OpenEnded_mscoco_train2014_questions.json", "mscoco_train2014_annotations.json",
        "OpenEnded_mscoco_val2014_questions.json", "mscoco_val2014_annotations.json",
        "../coco/train2014",
    ),
    "vizwiz": ("train.json", "val.json", "train", "val"),
    "textvqa": ("TextVQA_0.5.1_train.json", "TextVQA_0.5.1_val.json", "train_images"),
    "visdial": (
        "visdial_1.0_train.json", "visdial_1.0_val.json",
        "visdial_1.0_val_dense_annotations.json", "VisualDialog_val2018", "../coco/val2014",
    ),
    "hateful_memes": ("train.jsonl", "img"),
    "imagenet": ("LOC_synset_mapping.txt", "train", "val"),
    "kinetics700": ("train.csv", "annotations/val.csv", "train", "val"),
    "vatex": ("vatex_training_v1.0.json", "vatex_public_test_english_v1.1.json", "videos"),
    "msvdqa": ("train_qa.json", "test_qa.json", "YouTubeClips"),
    "msrvttqa": ("train_qa.json", "test_qa.json", "TrainValVideo", "TestVideo"),
    "youcook2": ("youcookii_annotations_trainval.json", "raw_videos"),
    "ivqa": ("train.csv", "test.csv", "videos"),
    "rareact": ("rareact.csv", "videos"),
    "nextqa": ("train.csv", "test.csv", "NExTVideo"),
    "star": ("STAR_train.json", "Charades_v1_480"),
}  # fmt: skip
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
def test_every_item_shows_what_it_is_about(data_dir: Path, name: str, split: str) -> None:
    benchmark = open_benchmark(name, str(data_dir), split)
    assert (benchmark.name, benchmark.split) == (
        name, OWN_SPLITS[name] if split == "test" else split,
    )  # fmt: skip
    if name in CLIPS:
        check_clips(benchmark, FILES)
    elif name != "visdial":  # Files have other names there: see test_visdial.py.
        check_pictures(benchmark)
    _check_contract(benchmark)
    again = open_benchmark(name, str(data_dir), split)
    assert (again.queries, again.support) == (benchmark.queries, benchmark.support)


def _check_contract(benchmark: Benchmark) -> None:
    for items in (benchmark.queries, benchmark.support):
        assert len({item.id for item in items}) == len(items)
        for item in items:
            options = item.candidates or benchmark.candidates
            assert item.label == -1 or item.answers == (options[item.label],)
    # What a shot tells.
    assert all(item.answers and all(item.answers) for item in benchmark.support)
    assert bool(benchmark.support) == (benchmark.name != "rareact")
    asked = {item.medium for item in benchmark.queries}
    assert not asked & {item.medium for item in benchmark.support}
    if not benchmark.candidates:
        # Classes are drawn clip by clip; the choice of shots passes over clips of the same video.
        assert not set(map(_video, benchmark.queries)) & set(map(_video, benchmark.support))
    assert len(set(benchmark.candidates)) == len(benchmark.candidates)


def _video(item: Item) -> str:
    return str(item.details.get("video", item.medium))


@pytest.mark.parametrize("name", ["okvqa", "imagenet", "hateful_memes"])
def test_benchmarks_may_lie_in_a_bucket(tmp_path: Path, name: str) -> None:
    MINIATURES[name](tmp_path)
    local = open_benchmark(name, str(tmp_path), "test")
    with bucket_in(tmp_path.parent):
        remote = open_benchmark(name, f"{BUCKET}/{tmp_path.name}", "test")
        assert (remote.queries, remote.support) == (local.queries, local.support)
        check_pictures(remote)
        with pytest.raises(UserError, match="there is no folder 'gs://bucket/elsewhere/"):
            open_benchmark(name, f"{BUCKET}/elsewhere", "test")


@pytest.mark.parametrize(
    ("name", "missing"), [(name, file) for name in NAMES for file in NEEDED[name]]
)
def test_whatever_is_missing_is_named_with_where_to_get_it(
    tmp_path: Path, name: str, missing: str
) -> None:
    path = MINIATURES[name](tmp_path) / missing
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(UserError) as caught:
        open_benchmark(name, str(tmp_path), "test")
    said = str(caught.value)
    assert said.startswith(f"{name}: there is no ")
    assert f"'{missing.removeprefix('../coco/')}'" in said
    assert BENCHMARKS[name].where in said and BENCHMARKS[name].layout in said
    assert str(tmp_path) in said and "\n" not in said


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_benchmark_or_split_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"{name}: there is no folder '.*/{name}'; get the files"):
        open_benchmark(name, str(tmp_path), "test")
    with pytest.raises(UserError, match=f"{name}: there is no split 'train'"):
        open_benchmark(name, str(tmp_path), "train")


@pytest.mark.parametrize("name", sorted(CLIPS))
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


@pytest.mark.parametrize("name", sorted(CLIPS))
def test_nothing_to_ask_is_told(data_dir: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    shutil.copytree(data_dir / name, folder)
    benchmark = open_benchmark(name, str(data_dir), "test")
    names = {item.medium.rpartition("/")[2] for item in benchmark.queries}
    (folder / "missing_clips.txt").write_text("\n".join(names))
    with pytest.raises(UserError, match=f"{name}: there is nothing to ask in"):
        open_benchmark(name, str(tmp_path), "test")


def test_every_reader_is_in_the_catalog() -> None:
    assert sorted(BENCHMARKS) == NAMES
    for name in NAMES:
        assert BENCHMARKS[name].read.__name__ == f"read_{name}" and BENCHMARKS[name].folder == name


def test_an_unknown_benchmark_is_told() -> None:
    with pytest.raises(UserError, match="there is no benchmark 'cocoo'; there are coco, flickr30k"):
        open_benchmark("cocoo", "", "test")


def test_readers_load_no_jax() -> None:
    """Files can be checked on a machine that has none."""
    folder = REPOSITORY / "flamingo_jax" / "evaluation" / "benchmarks"
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not [name for name in names if name.split(".")[0] in ("jax", "haiku")], path
