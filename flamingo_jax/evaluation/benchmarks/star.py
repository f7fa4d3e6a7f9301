"""STAR (Wu et al. 2021): questions about situations in Charades' videos, with four options each.

    STAR_val.json: [{"question_id": "Interaction_T1_4", "video_id": "TJZ0P", "start": 7.7,
                     "end": 15.7, "question": "Which object was eaten by the person?",
                     "answer": "The sandwich.",
                     "choices": [{"choice_id": 0, "choice": "The medicine.", ...}, ...], ...}]

The paper asks the test set, whose answers nobody gives out: where its questions are there, its
queries have no label, and what the model says can only be sent in. Else `val` is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import clip_benchmark, clip_files, records, sampling
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin
from flamingo_jax.evaluation.benchmarks.clip_benchmark import PlacedItem
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles

STAR = Origin(
    name="star",
    where="https://github.com/csbobby/STAR_Benchmark and https://prior.allenai.org/projects/charades"
    " (videos)",
    layout=(
        "STAR_{train,val}.json, perhaps STAR_test.json, and Charades' whole videos as"
        " Charades_v1_480/<video_id>.mp4 (or in videos/)"
    ),
)

VAL = "val"

_TEST_FILE = "STAR_test.json"
_MAX_CHOICES = 1_000

_USED = {
    "question_id": ("question_id", "video_id", "start", "end", "question", "answer", "choices"),
    "choice_id": ("choice_id", "choice"),
}
"""Which fields of an object are read, by the one that tells what the object is."""


def read_star(folder: str, split: str) -> Benchmark:
    """STAR; each item has its own candidates, and `details` say which part of the video is meant.

    Args:
      folder: see `STAR.layout`.
      split: "test" (the test set if its questions are there, else "val"), "val", or "validation"
        (1,024 training questions).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(STAR.name, split, VAL)
    here = BenchmarkFolder(STAR, folder)
    if split == sampling.TEST and not here.has(_TEST_FILE):
        split = VAL
    clips = clip_files.open_clips(here, "Charades_v1_480", "videos", "Charades_v1")

    def read_queries() -> tuple[Item, ...]:
        items = _items(here, f"STAR_{split}.json", clips)
        return clip_benchmark.answered(items) if split == VAL else clip_benchmark.unique(items)

    return clip_benchmark.assemble(
        here,
        split,
        split,
        training=clip_benchmark.unique(_items(here, "STAR_train.json", clips)),
        read_queries=read_queries,
        query_clips=clips,
        support_clips=clips,
    )


def _only_what_is_asked(value: dict[str, Any]) -> dict[str, Any] | None:
    """Drops programs and graphs of the situations, nearly all of the file."""
    for sign, used in _USED.items():
        if sign in value:
            return {name: value[name] for name in used if name in value}
    return None


def _items(here: BenchmarkFolder, name: str, clips: ClipFiles) -> Iterator[PlacedItem]:
    place = here.place(name)
    content = records.expect(here.read_json(name, _only_what_is_asked), list, "the content", place)
    for where, record in records.objects(content, place):
        options = _options(record, where)
        answer = records.text(record, "answer", where) if record.get("answer") else ""
        if answer and answer not in options:
            raise UserError(f"{where}: the answer {answer!r} is none of its choices {options}")
        start, end = (
            records.number(records.field(record, bound, where), bound, where)
            for bound in ("start", "end")
        )
        yield (
            where,
            Item(
                id=records.identifier(record, "question_id", where),
                medium=clips.medium(records.identifier(record, "video_id", where)),
                question=records.text(record, "question", where),
                answers=(answer,) if answer else (),
                candidates=options,
                label=options.index(answer) if answer else -1,
                details=clip_files.segment(start, end, where),
            ),
        )


def _options(record: dict[str, Any], place: str) -> tuple[str, ...]:
    """The choices in the order of their ids."""
    found: dict[int, str] = {}
    choices = records.items(record, "choices", place)
    for where, choice in records.objects(choices, f"{place} choices"):
        number = records.whole_number(choice, "choice_id", _MAX_CHOICES, where)
        if number in found:
            raise UserError(f"{where}: the choice_id {number} comes a second time")
        found[number] = records.text(choice, "choice", where)
    options = tuple(found[number] for number in sorted(found))
    if len(options) < 2:
        raise UserError(f"{place} has {len(options)} choices; expected two or more")
    return options
