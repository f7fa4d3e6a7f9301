"""ImageNet: folders of classes or a flat `val`, and classes that are called the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark
from flamingo_jax.evaluation.benchmarks.imagenet import read_imagenet
from tests.evaluation.benchmarks import miniatures
from tests.evaluation.benchmarks.pictures_shown import check_pictures

NAMES = ("tench", "construction crane", "crane bird", "tank suit", "maillot")
WNIDS = tuple(line.split()[0] for line in miniatures.IMAGENET_CLASSES.splitlines())
WRITE = [miniatures.imagenet, miniatures.imagenet_with_flat_val]


def _flat_with_labels(data_dir: Path) -> Path:
    folder = miniatures.imagenet_with_flat_val(data_dir)
    (folder / "LOC_val_solution.csv").unlink()
    labels = "".join(f"{wnid}\n" for wnid in miniatures.IMAGENET_VAL.values())
    (folder / "imagenet_2012_validation_synset_labels.txt").write_text(labels)
    return folder


def _told(benchmark: Benchmark) -> dict[str, str]:
    return {item.id: item.details["wnid"] for item in benchmark.queries}


@pytest.mark.parametrize("write", [*WRITE, _flat_with_labels])
def test_every_layout_of_val_says_the_same(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    benchmark = read_imagenet(str(write(tmp_path)), "test")
    assert (benchmark.name, benchmark.split) == ("imagenet", "val")
    assert benchmark.candidates == NAMES
    expected = {f"ILSVRC2012_val_{n:08d}": wnid for n, wnid in miniatures.IMAGENET_VAL.items()}
    assert _told(benchmark) == expected
    # In the order of the numbers, which is no order of classes.
    assert [item.id for item in benchmark.queries] == sorted(expected)
    for item in (*benchmark.queries, *benchmark.support):
        assert item.answers == (NAMES[item.label],)
        assert item.details["wnid"] == WNIDS[item.label]
    check_pictures(benchmark)


def test_shots_go_through_the_classes_in_turn(tmp_path: Path) -> None:
    support = read_imagenet(str(miniatures.imagenet(tmp_path)), "test").support
    assert [item.label for item in support] == list(range(5)) * 3
    assert len({item.medium for item in support}) == 15
    assert all(item.medium.startswith(f"train/{item.details['wnid']}/") for item in support)


def test_the_validation_asks_training_pictures(tmp_path: Path) -> None:
    benchmark = read_imagenet(str(miniatures.imagenet(tmp_path)), "validation")
    assert [item.label for item in benchmark.queries] == list(range(5))
    queries = {item.medium for item in benchmark.queries}
    assert not queries & {item.medium for item in benchmark.support}
    assert all(medium.startswith("train/") for medium in queries)
    check_pictures(benchmark)


def test_classes_of_ones_own_are_called_by_their_first_names(tmp_path: Path) -> None:
    folder = miniatures.imagenet(tmp_path)
    (folder / "classes.txt").write_text(
        "n02012849\tcrane bird\nn01440764 tench, Tinca tinca\n\nn03126707  crane, lifting device\n"
        "n03710721 one-piece suit\nn03710637 maillot\n"
    )
    benchmark = read_imagenet(str(folder), "test")
    assert benchmark.candidates == ("crane bird", "tench", "crane", "one-piece suit", "maillot")
    assert benchmark.queries[0].answers == ("crane bird",)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        ("n01440764 tench\nn02012849 Tench\n", "n01440764 and n02012849 are both called"),
        ("n01440764 tench\nn02012849\n", "line 2: 'n02012849' is no wnid and a name"),
        ("n01440764 tench\n../train x\n", "line 2: '../train x' is no wnid and a name"),
        ("n01440764 tench\n* x\n", "line 2: '* x' is no wnid and a name"),
        ("n01440764 tench\nn01440764 fish\n", "line 2: the wnid 'n01440764' comes a second time"),
        ("n01440764 tench\n", "has 1 classes"),
        ("n01440764 tench\nn00000001 nothing\n", "no picture in the folder 'train/n00000001'"),
    ],
)
def test_broken_classes_are_told(tmp_path: Path, classes: str, said: str) -> None:
    folder = miniatures.imagenet(tmp_path)
    (folder / "LOC_synset_mapping.txt").write_text(classes)
    with pytest.raises(UserError) as caught:
        read_imagenet(str(folder), "test")
    assert said in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("solutions", "said"),
    [
        ("ImageId,PredictionString\n", "does not say which class the picture 'val/ILSVRC2012_val"),
        ("Id,Class\na,b\n", "has no ImageId with a PredictionString"),
        ("ImageId,PredictionString\nILSVRC2012_val_00000001\n", "has no ImageId with a Pred"),
        ("ImageId,PredictionString\nILSVRC2012_val_00000001,\n", "has no ImageId with a Pred"),
        ("ImageId,PredictionString\nILSVRC2012_val_00000001,n00000007 1 2 3 4\n",
         "is of the class 'n00000007', which has no name"),
    ],
)  # fmt: skip
def test_broken_solutions_are_told(tmp_path: Path, solutions: str, said: str) -> None:
    folder = miniatures.imagenet_with_flat_val(tmp_path)
    (folder / "LOC_val_solution.csv").write_text(solutions)
    with pytest.raises(UserError) as caught:
        read_imagenet(str(folder), "test")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    folder = miniatures.imagenet_with_flat_val(tmp_path)
    (folder / "LOC_val_solution.csv").unlink()
    with pytest.raises(UserError, match="'LOC_val_solution.csv' or 'imagenet_2012_validation"):
        read_imagenet(str(folder), "test")
    folder = miniatures.imagenet(tmp_path / "second")
    shutil.rmtree(folder / "val" / "n02012849")
    with pytest.raises(UserError, match="imagenet: there is no picture in the folder 'val/n0201"):
        read_imagenet(str(folder), "test")
    shutil.rmtree(folder / "train")
    with pytest.raises(UserError, match="no folder of media 'train'"):
        read_imagenet(str(folder), "test")
