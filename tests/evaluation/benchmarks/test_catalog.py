"""All of the picture benchmarks, by name, from a folder of benchmarks."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.benchmarks.catalog import BENCHMARKS, open_benchmark
from flamingo_jax.evaluation.metrics.vqa_accuracy import vqa_accuracy
from tests.data.buckets import BUCKET, bucket_in
from tests.evaluation.benchmarks.miniatures import MINIATURES

REPOSITORY = Path(__file__).resolve().parents[3]
SLICES = REPOSITORY.parent / "shared" / "vqa-slices"

NAMES = sorted(MINIATURES)


@pytest.mark.parametrize("split", ["test", "validation"])
def test_all_benchmarks_lie_side_by_side(tmp_path: Path, split: str) -> None:
    for write in MINIATURES.values():
        write(tmp_path)
    for name in NAMES:
        benchmark = open_benchmark(name, str(tmp_path), split)
        assert benchmark.name == name
        _check(benchmark)
        again = open_benchmark(name, str(tmp_path), split)
        assert (again.queries, again.support) == (benchmark.queries, benchmark.support)


@pytest.mark.parametrize("name", ["okvqa", "imagenet", "hateful_memes"])
def test_benchmarks_may_lie_in_a_bucket(tmp_path: Path, name: str) -> None:
    MINIATURES[name](tmp_path)
    local = open_benchmark(name, str(tmp_path), "test")
    with bucket_in(tmp_path.parent):
        remote = open_benchmark(name, f"{BUCKET}/{tmp_path.name}", "test")
        assert (remote.queries, remote.support) == (local.queries, local.support)
        _check(remote)
        with pytest.raises(UserError, match="there is no folder 'gs://bucket/elsewhere/"):
            open_benchmark(name, f"{BUCKET}/elsewhere", "test")


def _check(benchmark: Benchmark) -> None:
    """What the contract says of every benchmark."""
    for items, media in (
        (benchmark.queries, benchmark.query_media),
        (benchmark.support, benchmark.support_media),
    ):
        assert items and len({item.id for item in items}) == len(items)
        assert all(media.read(item.medium).data for item in items)
        for item in items:
            assert item.label < max(len(benchmark.candidates), len(item.candidates), 1)
    # What a shot tells.
    assert all(item.answers and item.answers[0] for item in benchmark.support)
    shown = {item.medium for item in benchmark.support}
    assert not shown & {item.medium for item in benchmark.queries}
    assert len(set(benchmark.candidates)) == len(benchmark.candidates)


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
}  # fmt: skip


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
    assert said.startswith(f"{name}: there is no ") and f"'{path.name}'" in said
    assert BENCHMARKS[name].where in said and BENCHMARKS[name].layout in said
    assert str(tmp_path) in said and "\n" not in said


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_benchmark_or_split_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"{name}: there is no folder '.*/{name}'; get the files"):
        open_benchmark(name, str(tmp_path), "test")
    with pytest.raises(UserError, match=f"{name}: there is no split 'train'"):
        open_benchmark(name, str(tmp_path), "train")


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


@pytest.mark.parametrize("name", ["textvqa", "vizwiz"])
def test_real_questions_are_read(tmp_path: Path, name: str) -> None:
    """The first 200 validation questions, which here stand for the training set as well."""
    if not (SLICES / name).is_dir():
        pytest.skip(f"the slices of real questions are not at {SLICES}")
    folder = tmp_path / name
    folder.mkdir()
    for kind in ("questions", "annotations"):
        content = (SLICES / name / f"val_{kind}_vqa_format.json").read_bytes()
        for subset in ("train", "val"):
            (folder / f"{subset}_{kind}_vqa_format.json").write_bytes(content)
    for media in ("train_images", "train", "val"):
        (folder / media).mkdir()
    benchmark = open_benchmark(name, str(tmp_path), "test")
    assert benchmark.split == "val" and len(benchmark.queries) == len(benchmark.support) == 200
    assert {len(item.answers) for item in benchmark.queries} == {10}
    # What most people said scores 100 wherever four of them agree.
    most = [max(item.answers, key=item.answers.count) for item in benchmark.queries]
    scores = vqa_accuracy(most, [item.answers for item in benchmark.queries])
    for item, answer, score in zip(benchmark.queries, most, scores, strict=True):
        assert item.answers.count(answer) < 4 or score == pytest.approx(100)
    first = benchmark.queries[0]
    if name == "textvqa":
        assert first.medium == "train_images/003a8ae2ef43b901.jpg" and first.id == "34602"
        assert first.answers[:2] == ("nous les gosses", "dakota")
    else:
        assert first.medium == "val/VizWiz_val_00000000.jpg" and first.id == "0"
        assert first.details["answer_type"] == "unanswerable"
