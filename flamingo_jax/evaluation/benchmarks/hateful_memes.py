"""HatefulMemes: a meme, the text on it, and whether it is hateful; one JSON object a line.

    {"id": 42953, "img": "img/42953.png", "label": 0, "text": "its their character ..."}

The paper asks the seen test set (`test_seen`). Where that is not there, `dev_seen` (or `dev`, as
the first release calls it) is asked. Files are called `.jsonl` or `.json`, and have lines all the
same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import records, sampling
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin

HATEFUL_MEMES = Origin(
    name="hateful_memes",
    where="https://hatefulmemeschallenge.com/#download",
    layout="train.jsonl, test_seen.jsonl (or dev_seen.jsonl or dev.jsonl), img/",
)

ANSWERS = ("no", "yes")
"""The candidates, by their label in the files."""

_QUERY_FILES = ("test_seen", "dev_seen", "dev")
_PICTURES = "img"
_VALIDATION_QUERIES_PER_CLASS = sampling.NUM_VALIDATION // len(ANSWERS)


def read_hateful_memes(folder: str, split: str) -> Benchmark:
    """HatefulMemes; `Item.question` is the text on the meme.

    Args:
      folder: see `HATEFUL_MEMES.layout`.
      split: "test" (the first of "test_seen", "dev_seen" and "dev" that is there), one of these,
        or "validation" (512 training memes of each label).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(HATEFUL_MEMES.name, split, *_QUERY_FILES)
    here = BenchmarkFolder(HATEFUL_MEMES, folder)
    training = _read(here, "train")
    by_label = [[item for item in training if item.label == label] for label in range(len(ANSWERS))]
    if not all(by_label):
        raise UserError(f"{here.place('train.jsonl')} has no memes of one label: expected both")
    drawn = sampling.draw_balanced(
        HATEFUL_MEMES.name, split, by_label, _VALIDATION_QUERIES_PER_CLASS
    )
    queries: Sequence[Item] = [item for _, item in drawn.queries]
    if split != sampling.VALIDATION:
        split, queries = _queries(here, split)
    pictures = here.pictures(here.media_folder(_PICTURES))
    return Benchmark(
        name=HATEFUL_MEMES.name,
        split=split,
        queries=tuple(queries),
        support=tuple(item for _, item in drawn.support),
        query_media=pictures,
        support_media=pictures,
        candidates=ANSWERS,
    )


def _queries(here: BenchmarkFolder, split: str) -> tuple[str, list[Item]]:
    """The split that is asked, and its memes."""
    wanted = _QUERY_FILES if split == sampling.TEST else (split,)
    name = here.first(*(name for stem in wanted for name in _names(stem)))
    found = name.rpartition(".")[0]
    return found, _read(here, found)


def _names(stem: str) -> tuple[str, str]:
    return f"{stem}.jsonl", f"{stem}.json"


def _read(here: BenchmarkFolder, stem: str) -> list[Item]:
    """The memes of a file, in its order."""
    name = here.first(*_names(stem))
    found: dict[str, Item] = {}
    for place, value in here.read_json_lines(name):
        item = _item(records.expect(value, dict, "it", place), place)
        records.put_once(found, item.id, item, "id", place)
    if not found:
        raise UserError(f"{here.place(name)} has no memes")
    return list(found.values())


def _item(record: dict[str, Any], place: str) -> Item:
    # A test set without labels, as in the first release, can only be sent in.
    label = -1
    if "label" in record:
        label = records.whole_number(record, "label", len(ANSWERS), place)
    # Some releases write `img/42953.png` and some `42953.png`.
    file_name = records.text(record, "img", place).removeprefix(f"{_PICTURES}/")
    return Item(
        id=records.identifier(record, "id", place),
        medium=f"{_PICTURES}/{file_name}",
        question=records.text(record, "text", place),
        answers=() if label < 0 else (ANSWERS[label],),
        label=label,
    )
