"""RareAct: unusual actions, such as to hammer a phone. It has no training set: zero shots only.

`rareact.csv` of antoine77340/RareAct (7,607 clips, 149 classes), the parts of whole videos:

    id,video_id,start,end,class_id,verb,noun,annotation
    47,_5YesRqExrw,30,40,33,hammer,phone,1

A clip was looked at for one class; `annotation` says what people saw: 1 that action, 2 only the
verb, 3 only the noun, 4 both apart, 0 neither. Candidates are the actions in the order of
`class_id`, as the paper's prompt tells them: "a person hammers a phone".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import clip_benchmark, clip_files, csv_tables, sampling
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin
from flamingo_jax.evaluation.benchmarks.clip_benchmark import VIDEO, PlacedItem
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles

RAREACT = Origin(
    name="rareact",
    where="https://github.com/antoine77340/RareAct (table and rareact.zip)",
    layout="rareact.csv, and the whole videos as videos/<video_id>.mp4",
)

POSITIVE = 1
"""The annotation of a clip that shows the action it was looked at for."""

_FILE = "rareact.csv"
_NUM_ANNOTATIONS = 5
_MAX_CLASSES = 100_000

Action = tuple[str, str]
"""Verb and noun."""


def read_rareact(folder: str, split: str) -> Benchmark:
    """RareAct. The support is empty; `details` have what the metric needs, and the part of a video.

    Args:
      folder: see `RAREACT.layout`.
      split: "test"; there is no training set to take a validation from.

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(RAREACT.name, split)
    if split == sampling.VALIDATION:
        raise UserError("rareact: there is no split 'validation': it has no training set")
    here = BenchmarkFolder(RAREACT, folder)
    clips = clip_files.open_clips(here, "videos", "rareact")
    actions: dict[int, Action] = {}
    queries = clip_benchmark.unique(_items(here, clips, actions))
    candidates = _candidates(actions, here.place(_FILE))
    queries = tuple(clip_benchmark.present(queries, clip_files.missing_clips(here)))
    if not queries:
        raise UserError(f"{RAREACT.name}: there is nothing to ask in {split!r}")
    return Benchmark(
        name=RAREACT.name,
        split=split,
        queries=queries,
        support=(),
        query_media=clips,
        support_media=clips,
        candidates=candidates,
    )


def _items(
    here: BenchmarkFolder, clips: ClipFiles, actions: dict[int, Action]
) -> Iterator[PlacedItem]:
    """The rows; `actions` gets the action of every class."""
    columns = ("id", "video_id", "start", "end", "class_id", "verb", "noun", "annotation")
    for place, row in csv_tables.read_rows(here, _FILE, columns):
        number = csv_tables.whole_number(row, "class_id", _MAX_CLASSES, place)
        verb, noun = (csv_tables.identifier(row, column, place) for column in ("verb", "noun"))
        if actions.setdefault(number, (verb, noun)) != (verb, noun):
            raise UserError(
                f"{place}: class_id {number} is {verb!r} {noun!r} here, but before it was"
                f" {actions[number]}"
            )
        annotation = csv_tables.whole_number(row, "annotation", _NUM_ANNOTATIONS, place)
        video = csv_tables.identifier(row, "video_id", place)
        start, end = (csv_tables.number(row, column, place) for column in ("start", "end"))
        yield (
            place,
            Item(
                id=csv_tables.identifier(row, "id", place),
                medium=clips.medium(video),
                answers=(told(verb, noun),) if annotation == POSITIVE else (),
                label=number if annotation == POSITIVE else -1,
                details={
                    VIDEO: video,
                    "verb": verb,
                    "noun": noun,
                    "class_id": number,
                    "annotation": annotation,
                    **clip_files.segment(start, end, place),
                },
            ),
        )


def _candidates(actions: dict[int, Action], place: str) -> tuple[str, ...]:
    for number in range(len(actions)):
        if number not in actions:
            raise UserError(f"{place} has no clip of class_id {number}, but of later ones")
    return tuple(told(*actions[number]) for number in range(len(actions)))


def told(verb: str, noun: str) -> str:
    """An action as the paper's prompt tells it: the verb in the third person, the noun's article.

    The nouns of the table that are in the plural (shoes, carrots) take none.
    """
    if noun.endswith("s") and not noun.endswith("ss"):
        return f"a person {_third_person(verb)} {noun}"
    article = "an" if noun[0] in "aeiou" else "a"
    return f"a person {_third_person(verb)} {article} {noun}"


def _third_person(verb: str) -> str:
    """The form of a regular verb with he or she: washes, dries, sprays, cuts."""
    if re.search(r"(s|x|z|ch|sh|o)$", verb):
        return verb + "es"
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ies"
    return verb + "s"
