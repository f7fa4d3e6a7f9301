"""COCO and Flickr30k in the splits of Karpathy and Fei-Fei (2015): `dataset_{coco,flickr30k}.json`.

    {"images": [{"filepath": "val2014", "filename": "COCO_val2014_000000391895.jpg", "cocoid": ...,
                 "split": "test", "sentences": [{"raw": "A man with a red helmet ...", ...}]}]}

Flickr30k's records have neither `filepath` nor `cocoid`; their ids are the stems of the file names.
Of COCO, support comes from `train` and `restval` together: Karpathy's usual training set.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from typing import Any

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.evaluation.benchmarks import records, sampling
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin

_CAPTION_DATASETS = "https://cs.stanford.edu/people/karpathy/deepimagesent/caption_datasets.zip"

COCO = Origin(
    name="coco",
    where=f"{_CAPTION_DATASETS} and https://cocodataset.org/#download (2014 pictures)",
    layout="dataset_coco.json, train2014/, val2014/",
)
FLICKR30K = Origin(
    name="flickr30k",
    where=f"{_CAPTION_DATASETS} and https://shannon.cs.illinois.edu/DenotationGraph/",
    layout="dataset_flickr30k.json, flickr30k-images/",
)

COCO_TRAINING = ("train", "restval")
FLICKR30K_TRAINING = ("train",)
COCO_VALIDATION_QUERIES = 5_000

_FLICKR30K_FOLDERS = ("flickr30k-images", "flickr30k_images", "images")
_SPLITS = ("train", "restval", "val", "test")

_MakeItem = Callable[[dict[str, Any], str], Item]


def read_coco(folder: str, split: str) -> Benchmark:
    """COCO's captions.

    Args:
      folder: has `dataset_coco.json`, `train2014/` and `val2014/`.
      split: "test" (Karpathy's 5,000) or "validation" (5,000 of his training set).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(COCO.name, split)
    here = BenchmarkFolder(COCO, folder)
    queries, support = _read(
        here, "dataset_coco.json", split, _coco_item, COCO_TRAINING, COCO_VALIDATION_QUERIES
    )
    used = sorted({item.medium.partition("/")[0] for item in (*queries, *support)})
    pictures = here.pictures(*(here.media_folder(name) for name in used))
    return Benchmark(
        name=COCO.name,
        split=split,
        queries=queries,
        support=support,
        query_media=pictures,
        support_media=pictures,
    )


def read_flickr30k(folder: str, split: str) -> Benchmark:
    """Flickr30k's captions.

    Args:
      folder: has `dataset_flickr30k.json` and `flickr30k-images/`.
      split: "test" (Karpathy's 1,000) or "validation" (1,024 of his training set).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(FLICKR30K.name, split)
    here = BenchmarkFolder(FLICKR30K, folder)
    pictures_folder = here.media_folder(*_FLICKR30K_FOLDERS)

    def make_item(image: dict[str, Any], place: str) -> Item:
        return _flickr30k_item(image, pictures_folder.name, place)

    queries, support = _read(
        here, "dataset_flickr30k.json", split, make_item, FLICKR30K_TRAINING,
        sampling.NUM_VALIDATION,
    )  # fmt: skip
    pictures = here.pictures(pictures_folder)
    return Benchmark(
        name=FLICKR30K.name,
        split=split,
        queries=queries,
        support=support,
        query_media=pictures,
        support_media=pictures,
    )


def _read(
    here: BenchmarkFolder,
    name: str,
    split: str,
    make_item: _MakeItem,
    training_splits: Collection[str],
    num_validation: int,
) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """Queries and support of a file."""
    place = here.place(name)
    images = records.items(here.read_json(name, _without_tokens), "images", place)
    test: list[tuple[str, dict[str, Any]]] = []
    training: list[tuple[str, dict[str, Any]]] = []
    for where, image in records.objects(images, f"{place} images"):
        of = records.text(image, "split", where)
        if of not in _SPLITS:
            raise UserError(f"{where}: split is {of!r}; expected one of {_SPLITS}")
        if of == "test":
            test.append((where, image))
        elif of in training_splits and _captions(image, where):
            training.append((where, image))
    names = [records.text(image, "filename", where) for where, image in training]
    slices = sampling.draw(here.origin.name, split, names, num_validation)
    asked = [training[row] for row in slices.queries] if split != sampling.TEST else test
    if not asked:
        raise UserError(f"{place} has no image of the split 'test'")
    support = [training[row] for row in slices.support]
    return _unique(asked, make_item), _unique(support, make_item)


def _without_tokens(value: dict[str, Any]) -> dict[str, Any]:
    """Drops the words of each sentence: two thirds of the file, and nobody asks for them."""
    value.pop("tokens", None)
    return value


def _unique(images: Iterable[tuple[str, dict[str, Any]]], make_item: _MakeItem) -> tuple[Item, ...]:
    found: dict[str, Item] = {}
    for place, image in images:
        item = make_item(image, place)
        if not item.answers:
            raise UserError(f"{place} has no caption")
        records.put_once(found, item.id, item, "id", place)
    return tuple(found.values())


def _coco_item(image: dict[str, Any], place: str) -> Item:
    home = records.text(image, "filepath", place)
    if not files.is_safe_name(home) or "/" in home:
        raise UserError(f"{place}: filepath is {home!r:.60}; expected the name of a folder")
    return Item(
        id=records.identifier(image, "cocoid", place),
        medium=f"{home}/{records.text(image, 'filename', place)}",
        answers=_captions(image, place),
    )


def _flickr30k_item(image: dict[str, Any], home: str, place: str) -> Item:
    file_name = records.text(image, "filename", place)
    return Item(
        id=os.path.splitext(file_name)[0],
        medium=f"{home}/{file_name}",
        answers=_captions(image, place),
    )


def _captions(image: dict[str, Any], place: str) -> tuple[str, ...]:
    """What people said of a picture, in the order of the file; empty texts are left out."""
    sentences = records.objects(records.items(image, "sentences", place), f"{place}.sentences")
    return tuple(filter(None, (records.text(said, "raw", where) for where, said in sentences)))
