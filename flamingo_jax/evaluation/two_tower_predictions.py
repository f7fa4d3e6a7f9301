"""Files of what the contrastive model found: a line for each query, from which all is scored.

`NAME.jsonl` has the lines and `NAME.json` says what they are of, as for few-shot predictions; a
file is written whole, once all of a task is embedded. A line tells the first few candidates, and
the rank of the right one, which is all that recall and accuracy depend on.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flamingo_jax.config_evaluation import REAL
from flamingo_jax.core.errors import UserError
from flamingo_jax.core.files import write_atomic
from flamingo_jax.evaluation import file_retrieval
from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.fewshot import NONE
from flamingo_jax.evaluation.predictions import Origin
from flamingo_jax.evaluation.query_lines import QueryLine, check_fields, read_lines
from flamingo_jax.evaluation.two_tower_ranks import Ranks
from flamingo_jax.evaluation.two_tower_tasks import OpenedTask

IMAGE_TO_CLASS = "image_to_class"

NUM_ASKED = "num_asked"
"""What the header's protocol calls the number of pictures or clips that are queries."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoTowerPrediction(QueryLine):
    """One query's line.

    Attributes:
      query: id of the picture or clip; of a caption, that of its picture and its number, from 0:
        "391895#2".
      index: its place in the order in which queries are asked.
      direction: `IMAGE_TO_CLASS`, `IMAGE_TO_TEXT` or `TEXT_TO_IMAGE`.
      medium: the file that was shown, of the control with swapped pictures that of another query;
        empty if the query is a caption.
      text: the caption that is asked about; empty if the query is a picture.
      picture: id of the picture that the query is or speaks of.
      right: the right candidates: the class, ids of captions, or that of the picture.
      rank: place of the first right candidate, from 1; wrong ones that are as similar are ahead.
      similarity: of the first right candidate, a cosine.
      best: the most similar candidates, the first one first.
      similarities: theirs.
    """

    direction: str
    medium: str
    text: str
    picture: str
    right: tuple[str, ...]
    rank: int
    similarity: float
    best: tuple[str, ...]
    similarities: tuple[float, ...]


def origin_of(task: OpenedTask, images: str, config_hash: str, checkpoint: str) -> Origin:
    """What the predictions of a task are of.

    Args:
      task: the task.
      images: "real" or "swapped".
      config_hash: of the evaluation's config.
      checkpoint: of the model.
    """
    protocol = {
        "metric": task.task.metric,
        "cutoffs": task.task.cutoffs,
        "templates": task.templates,
        NUM_ASKED: len(task.queries),
    }
    return Origin(
        task=task.name, split=task.benchmark.split, shots=0, selection=NONE, images=images, seed=0,
        config_hash=config_hash, checkpoint=checkpoint, num_queries=len(task.benchmark.queries),
        protocol=protocol, candidates=task.benchmark.candidates,
    )  # fmt: skip


def file_name(origin: Origin) -> str:
    """ "coco_retrieval", or "coco_retrieval-500-swapped" where not all pictures are asked.

    Fewer pictures are another task with other ranks, and so have a file of their own.
    """
    asked: int = origin.protocol[NUM_ASKED]
    more = [str(asked)] if asked < origin.num_queries else []
    more += [origin.images] if origin.images != REAL else []
    return "-".join((origin.task, *more))


class _Asked(NamedTuple):
    """A query, see `TwoTowerPrediction`."""

    query: str
    picture: str
    right: Sequence[str]
    medium: str = ""
    text: str = ""


def of_classes(
    items: Sequence[Item], shown: Sequence[Item], names: Sequence[str], ranks: Ranks
) -> list[TwoTowerPrediction]:
    """The lines of a classification.

    Args:
      items: the queries.
      shown: whose picture or clip each was shown.
      names: of the classes.
      ranks: of the classes, for each query.
    """
    asked = [
        _Asked(item.id, item.id, [names[item.label]], medium=other.medium)
        for item, other in zip(items, shown, strict=True)
    ]
    return list(_lines(IMAGE_TO_CLASS, 0, asked, names, ranks))


def of_retrieval(
    items: Sequence[Item], shown: Sequence[Item], of_images: Ranks, of_texts: Ranks
) -> list[TwoTowerPrediction]:
    """The lines of retrieval: of all pictures, then of all captions.

    Args:
      items: the pictures with their captions.
      shown: whose picture stood for each, as a query and as a candidate.
      of_images: ranks of the captions, for each picture.
      of_texts: ranks of the pictures, for each caption.
    """
    texts, image_T = file_retrieval.captions(items)
    number_T = np.arange(len(texts)) - np.searchsorted(image_T, image_T)
    ids = [f"{items[image].id}#{number}" for image, number in zip(image_T, number_T, strict=True)]
    own: list[list[str]] = [[] for _ in items]
    for image, name in zip(image_T, ids, strict=True):
        own[image].append(name)
    pictures = [
        _Asked(item.id, item.id, names, medium=other.medium)
        for item, other, names in zip(items, shown, own, strict=True)
    ]
    captions = [
        _Asked(name, items[image].id, [items[image].id], text=text)
        for name, image, text in zip(ids, image_T, texts, strict=True)
    ]
    images = [item.id for item in items]
    return [
        *_lines(file_retrieval.IMAGE_TO_TEXT, 0, pictures, ids, of_images),
        *_lines(file_retrieval.TEXT_TO_IMAGE, len(items), captions, images, of_texts),
    ]


def _lines(
    direction: str, first: int, asked: Iterable[_Asked], names: Sequence[str], ranks: Ranks
) -> Iterator[TwoTowerPrediction]:
    """The lines of one direction; the first one has the index `first`."""
    for number, (query, ahead, right, best, similarity) in enumerate(
        zip(asked, *ranks, strict=True)
    ):
        yield TwoTowerPrediction(
            query=query.query,
            index=first + number,
            direction=direction,
            medium=query.medium,
            text=query.text,
            picture=query.picture,
            right=tuple(query.right),
            rank=1 + int(ahead),
            similarity=_written(right),
            best=tuple(names[place] for place in best),
            similarities=tuple(map(_written, similarity)),
        )


def _written(similarity: np.float32) -> float:
    """In as few digits as tell float32 numbers apart."""
    return float(str(np.float32(similarity)))


def write(path: Path, given: Iterable[TwoTowerPrediction]) -> None:
    """Writes a whole file: it has all lines, or is not there."""
    write_atomic(path, "".join(json.dumps(dataclasses.asdict(line)) + "\n" for line in given))


def read(path: Path) -> list[TwoTowerPrediction]:
    """The lines of a file, in the order in which queries were asked.

    Raises:
      UserError: a line is none of a two-tower task, or a query is missing or has two.
    """
    given = sorted(read_lines(path, _parse, "prediction"), key=lambda line: line.index)
    if [line.index for line in given] != list(range(len(given))):
        raise UserError(f"{path}: queries are missing: move the file away")
    return given


def _parse(fields: dict[str, Any]) -> TwoTowerPrediction:
    check_fields(fields, TwoTowerPrediction)
    for name in ("right", "best", "similarities"):
        fields[name] = tuple(fields[name])
    return TwoTowerPrediction(**fields)
