"""ImageNet (ILSVRC 2012): 1,000 classes, the training set as support, `val` as queries.

    train/n01440764/n01440764_10026.JPEG ...
    val/n01440764/ILSVRC2012_val_00000293.JPEG ...  or all of val in one folder, with its classes in
    LOC_val_solution.csv                            ImageId,PredictionString: its first word
    imagenet_2012_validation_synset_labels.txt      or a class a line, by the number of the picture
    LOC_synset_mapping.txt (or classes.txt)         n01440764 tench, Tinca tinca

A class is called by its first name. Two classes must not be called the same, or no answer could be
right: of those that share their first name, one that has further names is called by the next.
"""

from __future__ import annotations

import collections
import csv
import re
from collections.abc import Iterator, Mapping, Sequence

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.evaluation.benchmarks import sampling
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin

IMAGENET = Origin(
    name="imagenet",
    where="https://image-net.org/download or"
    " https://www.kaggle.com/c/imagenet-object-localization-challenge/data",
    layout=(
        "train/<wnid>/*.JPEG, val/<wnid>/*.JPEG (or val/*.JPEG with LOC_val_solution.csv or"
        " imagenet_2012_validation_synset_labels.txt), and the names of the classes,"
        " LOC_synset_mapping.txt or classes.txt (lines of a wnid and its names)"
    ),
)

_TRAIN = "train"
_VAL = "val"
# Names of one's own come before those that are given out.
_CLASS_FILES = ("classes.txt", "LOC_synset_mapping.txt")
_SOLUTIONS = "LOC_val_solution.csv"
_LABELS = "imagenet_2012_validation_synset_labels.txt"
_SUFFIXES = (".jpeg", ".jpg", ".png")

# It is also the name of a folder.
_WNID = re.compile(r"[A-Za-z0-9_-]+")

# The two classes that ImageNet itself calls the same and gives no other name: the bird and the
# machine of WordNet's `crane`.
_TOLD_APART = {
    ("n02012849", "crane"): "crane bird",
    ("n03126707", "crane"): "construction crane",
}


def read_imagenet(folder: str, split: str) -> Benchmark:
    """ImageNet.

    Args:
      folder: see `IMAGENET.layout`. Pictures lie in folders, not in tar files: they are listed.
      split: "test" (all of "val") or "validation" (10 training pictures of each class).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(IMAGENET.name, split, _VAL)
    here = BenchmarkFolder(IMAGENET, folder)
    names = _class_names(here)
    wnids = tuple(names)
    training_pictures = here.pictures(here.media_folder(_TRAIN))
    drawn = sampling.draw_balanced(
        IMAGENET.name, split, (_training_class(here, wnid) for wnid in wnids)
    )
    candidates = tuple(names.values())
    if split == sampling.VALIDATION:
        queries = tuple(_item(medium, label, candidates, wnids) for label, medium in drawn.queries)
        query_media = training_pictures
    else:
        split = _VAL
        query_media = here.pictures(here.media_folder(_VAL))
        queries = tuple(
            _item(medium, label, candidates, wnids) for label, medium in _val_pictures(here, wnids)
        )
    return Benchmark(
        name=IMAGENET.name,
        split=split,
        queries=queries,
        support=tuple(_item(medium, label, candidates, wnids) for label, medium in drawn.support),
        query_media=query_media,
        support_media=training_pictures,
        candidates=candidates,
    )


def _item(medium: str, label: int, candidates: Sequence[str], wnids: Sequence[str]) -> Item:
    return Item(
        id=_stem(medium),
        medium=medium,
        answers=(candidates[label],),
        label=label,
        details={"wnid": wnids[label]},
    )


def _stem(medium: str) -> str:
    return medium.rpartition("/")[2].rpartition(".")[0]


def _class_names(here: BenchmarkFolder) -> dict[str, str]:
    """What each class is called, by its wnid, in the order of the file."""
    name = here.first(*_CLASS_FILES)
    place = here.place(name)
    synonyms: dict[str, list[str]] = {}
    for number, line in enumerate(here.read_text(name).splitlines(), start=1):
        if not line.strip():
            continue
        wnid, *said = line.split(None, 1)
        names = [text.strip() for text in "".join(said).split(",") if text.strip()]
        if not names or not _WNID.fullmatch(wnid):
            raise UserError(f"{place} line {number}: {line!r:.60} is no wnid and a name")
        if wnid in synonyms:
            raise UserError(f"{place} line {number}: the wnid {wnid!r} comes a second time")
        synonyms[wnid] = names
    if len(synonyms) < 2:
        raise UserError(f"{place} has {len(synonyms)} classes: expected at least 2")
    return _tell_apart(synonyms, place)


def _tell_apart(synonyms: Mapping[str, Sequence[str]], place: str) -> dict[str, str]:
    """The first name of every class, and of those who share it another one."""
    count = collections.Counter(names[0].lower() for names in synonyms.values())
    called = {}
    for wnid, names in synonyms.items():
        is_shared = count[names[0].lower()] > 1
        if is_shared and len(names) > 1:
            called[wnid] = names[1]
        elif is_shared:
            called[wnid] = _TOLD_APART.get((wnid, names[0]), names[0])
        else:
            called[wnid] = names[0]
    by_name: dict[str, str] = {}
    for wnid, name in called.items():
        other = by_name.setdefault(name.lower(), wnid)
        if other != wnid:
            raise UserError(f"{place}: {other} and {wnid} are both called {name!r}: rename one")
    return called


def _listed(here: BenchmarkFolder, folder: str) -> list[str]:
    """The pictures of a folder, by name, sorted; empty if there are none."""
    try:
        paths = files.expand(["*"], files.join(here.path, folder), here.origin.name)
    except UserError:
        return []
    names = (path.rpartition("/")[2] for path in paths)
    return [f"{folder}/{name}" for name in names if name.lower().endswith(_SUFFIXES)]


def _training_class(here: BenchmarkFolder, wnid: str) -> list[str]:
    """The training pictures of a class."""
    found = _listed(here, f"{_TRAIN}/{wnid}")
    if not found:
        raise here.missing(f"picture in the folder '{_TRAIN}/{wnid}'")
    return found


def _val_pictures(here: BenchmarkFolder, wnids: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Label and name of every validation picture."""
    flat = _listed(here, _VAL)
    if not flat:
        # In the order of the pictures' numbers, as if they lay in one folder.
        yield from sorted(_val_in_classes(here, wnids), key=lambda pair: _stem(pair[1]))
        return
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    place, classes = _val_classes(here)
    for medium in flat:
        wnid = classes.get(_stem(medium))
        if wnid is None:
            raise UserError(f"{place} does not say which class the picture {medium!r} is of")
        if wnid not in labels:
            raise UserError(f"{place}: {medium!r} is of the class {wnid!r}, which has no name")
        yield labels[wnid], medium


def _val_in_classes(here: BenchmarkFolder, wnids: Sequence[str]) -> Iterator[tuple[int, str]]:
    for label, wnid in enumerate(wnids):
        found = _listed(here, f"{_VAL}/{wnid}")
        if not found:
            raise here.missing(f"picture in the folder '{_VAL}/{wnid}'")
        for medium in found:
            yield label, medium


def _val_classes(here: BenchmarkFolder) -> tuple[str, dict[str, str]]:
    """The class of every validation picture, by the stem of its name, and where that stands."""
    name = here.first(_SOLUTIONS, _LABELS)
    place = here.place(name)
    lines = here.read_text(name).splitlines()
    if name == _LABELS:
        return place, {
            f"ILSVRC2012_val_{number:08d}": wnid.strip()
            for number, wnid in enumerate(lines, start=1)
        }
    classes = {}
    for row in csv.DictReader(lines):
        try:
            stem, (wnid, *_) = row["ImageId"], row["PredictionString"].split()
        except (KeyError, AttributeError, ValueError):
            raise UserError(
                f"{place}: {row!r:.80} has no ImageId with a PredictionString"
            ) from None
        classes[stem] = wnid
    return place, classes
