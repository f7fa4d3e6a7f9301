"""NExT-QA's open-ended questions, NExT-OE (Xiao et al. 2021): `{train,val,test}.csv`.

    video,frame_count,width,height,question,answer,qid,type
    4190655097,1290,640,480,how does the cat get out of the cot,jumps out,8,CH

`qid` counts the questions of a video. The test set has a second answer to most questions, in
`add_reference_answer_test.json` ({video: {qid: answer}}) or in the column additional_ref_answer.
The videos are VidOR's, in the folders that `map_vid_vidorID.json` ({video: "1164/3238737531"})
names, or all in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import (
    clip_benchmark,
    clip_files,
    csv_tables,
    records,
    sampling,
)
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin
from flamingo_jax.evaluation.benchmarks.clip_benchmark import VIDEO, PlacedItem
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles

NEXTQA = Origin(
    name="nextqa",
    where="https://github.com/doc-doc/NExT-OE (questions) and https://github.com/doc-doc/NExT-QA"
    " (videos and their map)",
    layout=(
        "{train,test}.csv of NExT-OE, perhaps add_reference_answer_test.json, and the videos as"
        " NExTVideo/[<folder of map_vid_vidorID.json>/]<video>.mp4 (or in videos/)"
    ),
)

_TRAIN = "train.csv"
_TEST = "test.csv"
_MORE_ANSWERS = "add_reference_answer_test.json"
_MORE_ANSWERS_COLUMN = "additional_ref_answer"
_OPTION_COLUMN = "a0"
_MAP = "map_vid_vidorID.json"


def read_nextqa(folder: str, split: str) -> Benchmark:
    """NExT-QA, open-ended; the metric needs the question's `type` of `details`.

    Args:
      folder: see `NEXTQA.layout`.
      split: "test" or "validation" (1,024 training questions).

    Raises:
      UserError: see `catalog.open_benchmark`.
    """
    sampling.check_split(NEXTQA.name, split)
    here = BenchmarkFolder(NEXTQA, folder)
    clips = clip_files.open_clips(here, "NExTVideo", "videos")
    stems = _read_map(here)
    return clip_benchmark.assemble(
        here,
        split,
        "test",
        training=clip_benchmark.unique(_items(here, _TRAIN, clips, stems, {})),
        read_queries=lambda: clip_benchmark.answered(
            _items(here, _TEST, clips, stems, _read_more_answers(here))
        ),
        query_clips=clips,
        support_clips=clips,
    )


def _items(
    here: BenchmarkFolder,
    name: str,
    clips: ClipFiles,
    stems: Mapping[str, str],
    more_answers: Mapping[str, Mapping[str, str]],
) -> Iterator[PlacedItem]:
    columns = ("video", "question", "answer", "qid", "type")
    for place, row in csv_tables.read_rows(here, name, columns):
        if _OPTION_COLUMN in row:
            raise UserError(
                f"{here.place(name)} has options in columns such as {_OPTION_COLUMN!r}: it is of"
                " NExT-QA's multiple choice; take the table of that name of NExT-OE"
            )
        video = csv_tables.identifier(row, "video", place)
        qid = csv_tables.identifier(row, "qid", place)
        answers = (
            row["answer"],
            row.get(_MORE_ANSWERS_COLUMN, ""),
            more_answers.get(video, {}).get(qid, ""),
        )
        yield (
            place,
            Item(
                id=f"{video}_{qid}",
                medium=clips.medium(stems.get(video, video)),
                question=row["question"],
                answers=tuple(dict.fromkeys(filter(None, answers))),
                details={
                    VIDEO: video,
                    "qid": qid,
                    "type": csv_tables.identifier(row, "type", place),
                },
            ),
        )


def _read_map(here: BenchmarkFolder) -> dict[str, str]:
    """The file of each video without its extension; empty where the map is not there."""
    if not here.has(_MAP):
        return {}
    place = here.place(_MAP)
    content = records.expect(here.read_json(_MAP), dict, "the content", place)
    return {video: records.text(content, video, place) for video in content}


def _read_more_answers(here: BenchmarkFolder) -> dict[str, dict[str, str]]:
    if not here.has(_MORE_ANSWERS):
        return {}
    place = here.place(_MORE_ANSWERS)
    content: dict[str, Any] = records.expect(
        here.read_json(_MORE_ANSWERS), dict, "the content", place
    )
    found: dict[str, dict[str, str]] = {}
    for video, value in content.items():
        where = f"{place} [{video!r}]"
        answers = records.expect(value, dict, "it", where)
        found[video] = {qid: records.text(answers, qid, where) for qid in answers}
    return found
