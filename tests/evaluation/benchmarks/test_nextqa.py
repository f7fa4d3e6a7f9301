"""NExT-QA: questions numbered within videos, second answers, and broken files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.nextqa import read_nextqa
from tests.evaluation.benchmarks import miniature_clips
from tests.evaluation.benchmarks.clips_shown import by_id, check_clips


def test_answers_are_joined_by_video_and_question(tmp_path: Path) -> None:
    benchmark = read_nextqa(str(miniature_clips.nextqa(tmp_path)), "test")
    assert [(item.id, item.question, item.answers) for item in benchmark.queries] == [
        ("5772591393_2", "where is this", ("a house", "home")),
        ("7004238086_0", "what does the cat do", ("lick other", "lick each other")),
        # The second answer is the first one again.
        ("5772591393_0", "how many cats are there", ("three",)),
    ]
    assert [item.details["type"] for item in benchmark.queries] == ["DL", "TN", "DC"]
    assert benchmark.queries[1].details == {"video": "7004238086", "qid": "0", "type": "TN"}
    support = by_id(benchmark.support)
    assert sorted(support) == ["3233088823_0", "3233088823_3", "4189100053_3"]
    assert support["4189100053_3"].question == "why, in the end, is it red"
    assert support["4189100053_3"].answers == ("in case food fall",)


def test_second_answers_may_stand_in_the_table(tmp_path: Path) -> None:
    folder = miniature_clips.nextqa(tmp_path)
    (folder / "add_reference_answer_test.json").unlink()
    assert read_nextqa(str(folder), "test").queries[0].answers == ("a house",)
    header = ("video", "question", "answer", "qid", "type", "additional_ref_answer")
    rows = [
        (5772591393, "where is this", "a house", 2, "DL", "home"),
        (7004238086, "what does the cat do", "lick other", 0, "TN", ""),
    ]
    miniature_clips.write_table(folder / "test.csv", header, rows)
    answers = [item.answers for item in read_nextqa(str(folder), "test").queries]
    assert answers == [("a house", "home"), ("lick other",)]


def test_videos_lie_where_the_map_says_or_all_in_one_folder(tmp_path: Path) -> None:
    folder = miniature_clips.nextqa(tmp_path)
    media = [item.medium for item in read_nextqa(str(folder), "test").queries]
    assert media[0] == "NExTVideo/1000/5772591393" and media[1] == "NExTVideo/7004238086"
    for video in list((folder / "NExTVideo").glob("*/*.mp4")):
        video.rename(folder / "NExTVideo" / video.name)
    check_clips(read_nextqa(str(folder), "test"))
    (folder / "map_vid_vidorID.json").unlink()
    benchmark = read_nextqa(str(folder), "test")
    check_clips(benchmark)
    assert benchmark.queries[0].medium == "NExTVideo/5772591393"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("5772591393,1,2,3,where,here,2,DL", " line 5: the id '5772591393_2' comes a second"),
        ("5772591393,1,2,3,where,,5,DL", " line 5 has no answer or caption"),
        ("5772591393,1,2,3,where,here,5,", " line 5: type is empty"),
        ("5772591393,1,2,3,where,here,,DL", " line 5: qid is empty"),
        ("5772591393,1,2,3,where, over there, here,5,DL", " line 5 does not have one field"),
    ],
)
def test_broken_rows_are_told(tmp_path: Path, row: str, said: str) -> None:
    folder = miniature_clips.nextqa(tmp_path)
    with (folder / "test.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(UserError, match=f"nextqa: '.*/test.csv'{said}"):
        read_nextqa(str(folder), "test")


def test_the_multiple_choice_tables_are_told(tmp_path: Path) -> None:
    """NExT-QA's own tables have the same names, and numbers of options for answers."""
    folder = miniature_clips.nextqa(tmp_path)
    header = ("video", "frame_count", "width", "height", "question", "answer", "qid", "type",
              "a0", "a1", "a2", "a3", "a4")  # fmt: skip
    row = (4010069381, 369, 640, 480, "how do they walk", 1, 6, "CH", "a", "b", "c", "d", "e")
    miniature_clips.write_table(folder / "test.csv", header, [row])
    with pytest.raises(UserError, match="nextqa: .*test.csv' has options .*NExT-OE"):
        read_nextqa(str(folder), "test")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("add_reference_answer_test.json", [], ": the content is of type list; expected dict"),
        ("add_reference_answer_test.json", {"1": "x"}, r" \['1'\]: it is of type str; expected"),
        ("add_reference_answer_test.json", {"1": {"0": 3}}, r" \['1'\]: 0 is of type int"),
        ("map_vid_vidorID.json", {"1": 3}, ": 1 is of type int; expected str"),
    ],
)
def test_broken_joined_files_are_told(tmp_path: Path, file: str, content: Any, said: str) -> None:
    folder = miniature_clips.nextqa(tmp_path)
    (folder / file).write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"nextqa: '.*/{file}'{said}"):
        read_nextqa(str(folder), "test")
