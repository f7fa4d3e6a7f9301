"""iVQA (Yang et al. 2021): questions about parts of instructional videos, answered by five people.

`{train,val,test}.csv` of antoyang/just-ask have the columns video_id, start, end, question, and
answer1 to answer5; start and end are seconds. The records have no ids: video, start and end are
taken for one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import clip_benchmark, clip_files, csv_tables, sampling
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin
from flamingo_jax.evaluation.benchmarks.clip_benchmark import VIDEO, PlacedItem
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles

IVQA = Origin(
    name="ivqa",
    where="https://antoyang.github.io/just-ask.html (videos: YouTube)",
    layout=(
        "{train,test}.csv, and either the parts cut out as clips/<video_id>_<start>_<end>.mp4 (or"
        " clips/<video_id>.mp4) or whole videos as videos/<video_id>.mp4"
    ),
)

_ANSWERS = tuple(f"answer{number}" for number in range(1, 6))
_CUT = "clips"


def read_ivqa(folder: str, split: str) -> Benchmark:
    """iVQA. Where whole videos are there, `details` say which part of it is asked about.

    Args:
      folder: see `IVQA.layout`; `clips` is taken if both are there.
      split: "test" or "validation" (1,024 training questions).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(IVQA.name, split)
    here = BenchmarkFolder(IVQA, folder)
    clips = clip_files.open_clips(here, _CUT, "videos", other_stems=_video_alone)
    return clip_benchmark.assemble(
        here,
        split,
        "test",
        training=clip_benchmark.unique(_items(here, "train.csv", clips)),
        read_queries=lambda: clip_benchmark.answered(_items(here, "test.csv", clips)),
        query_clips=clips,
        support_clips=clips,
    )


def _video_alone(stem: str) -> Sequence[str]:
    """The name of a part without its start and end: `x` for `x_10_25`."""
    video = stem.rsplit("_", 2)[0]
    return (video,) if video and video != stem else ()


def _items(here: BenchmarkFolder, name: str, clips: ClipFiles) -> Iterator[PlacedItem]:
    columns = ("video_id", "start", "end", "question", *_ANSWERS)
    is_cut = clips.folder.name == _CUT
    seen: set[tuple[str, str]] = set()
    times: Counter[str] = Counter()
    for place, row in csv_tables.read_rows(here, name, columns):
        video = csv_tables.identifier(row, "video_id", place)
        start = csv_tables.number(row, "start", place)
        end = csv_tables.number(row, "end", place)
        part = clip_files.segment(start, end, place)
        stem = f"{video}_{start:g}_{end:g}"
        if (stem, row["question"]) in seen:
            raise UserError(f"{place}: the question {row['question']!r} comes a second time")
        seen.add((stem, row["question"]))
        times[stem] += 1
        yield (
            place,
            Item(
                # A second question about the same part has its number behind the id.
                id=stem if times[stem] == 1 else f"{stem}/{times[stem]}",
                medium=clips.medium(stem if is_cut else video),
                question=row["question"],
                answers=tuple(filter(None, (row[column] for column in _ANSWERS))),
                details={VIDEO: video, **({} if is_cut else part)},
            ),
        )
