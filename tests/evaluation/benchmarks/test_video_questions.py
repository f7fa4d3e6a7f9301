"""MSVD-QA, MSRVTT-QA and iVQA: questions, names of clips, and broken records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.ivqa import read_ivqa
from flamingo_jax.evaluation.benchmarks.video_questions import read_msrvttqa, read_msvdqa
from tests.evaluation.benchmarks import miniature_clips
from tests.evaluation.benchmarks.clips_shown import by_id, check_clips


def _facts(item: Any) -> tuple[Any, ...]:
    return item.id, item.medium, item.question, item.answers


def test_msvdqa_asks_in_the_order_of_the_file(tmp_path: Path) -> None:
    benchmark = read_msvdqa(str(miniature_clips.msvdqa(tmp_path)), "test")
    assert [_facts(item) for item in benchmark.queries] == [
        ("12", "YouTubeClips/vid1451", "what is a man doing?", ("play",)),
        ("10", "YouTubeClips/vid1450", "who plays?", ("man",)),
    ]
    # Question 5 has no answer, and so is no shot; `val` is not used.
    assert sorted(by_id(benchmark.support)) == ["0", "1", "3", "7", "9"]
    assert by_id(benchmark.support)["7"].medium == by_id(benchmark.support)["3"].medium


def test_clips_of_msvdqa_need_no_list_of_names(tmp_path: Path) -> None:
    folder = miniature_clips.msvdqa(tmp_path)
    (folder / "youtube_mapping.txt").unlink()
    miniature_clips.film(folder / "YouTubeClips", ["vid1450.mp4"])
    check_clips(read_msvdqa(str(folder), "test"))


@pytest.mark.parametrize(
    ("line", "said"), [("abc vid1 x", "has 3 words"), ("def vid1", ": the clip 'vid1' comes a")]
)
def test_broken_lists_of_names_are_told(tmp_path: Path, line: str, said: str) -> None:
    folder = miniature_clips.msvdqa(tmp_path)
    with (folder / "youtube_mapping.txt").open("a") as file:
        file.write(line)
    with pytest.raises(UserError, match=f"msvdqa: '.*youtube_mapping.txt' line 4 ?{said}"):
        read_msvdqa(str(folder), "test")


def test_questions_about_one_clip_are_on_one_side(tmp_path: Path) -> None:
    benchmark = read_msvdqa(str(miniature_clips.msvdqa(tmp_path)), "validation")
    asked = {item.medium for item in benchmark.queries}
    assert asked and not asked & {item.medium for item in benchmark.support}


def test_msrvttqa_has_a_folder_for_each_set(tmp_path: Path) -> None:
    folder = miniature_clips.msrvttqa(tmp_path)
    benchmark = read_msrvttqa(str(folder), "test")
    assert [_facts(item) for item in benchmark.queries] == [
        ("158581", "TestVideo/video7010", "what did three people sit on?", ("couch",))
    ]
    assert {item.medium for item in benchmark.support} == {
        "TrainValVideo/video0", "TrainValVideo/video1",
    }  # fmt: skip


def test_clips_of_msrvttqa_may_lie_in_one_folder(tmp_path: Path) -> None:
    folder = miniature_clips.msrvttqa(tmp_path)
    for clip in [*folder.glob("*/*.mp4")]:
        (folder / "videos").mkdir(exist_ok=True)
        clip.rename(folder / "videos" / clip.name)
    benchmark = read_msrvttqa(str(folder), "test")
    check_clips(benchmark)
    assert benchmark.queries[0].medium == "videos/video7010"


def test_the_validation_of_msrvttqa_needs_no_test_clips(tmp_path: Path) -> None:
    folder = miniature_clips.msrvttqa(tmp_path)
    (folder / "TestVideo" / "video7010.mp4").unlink()
    (folder / "TestVideo").rmdir()
    check_clips(read_msrvttqa(str(folder), "validation"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.append(c[0]), r"\[2\]: the id '12' comes a second time"),
        (lambda c: c.append(c[0] | {"id": "12"}), r"\[2\]: the id '12' comes a second time"),
        (lambda c: c[1].update(answer=""), r"\[1\] has no answer or caption"),
        (lambda c: c[1].update(video_id=None), r"\[1\]: video_id is None; expected"),
        (lambda c: c[1].pop("question"), r"\[1\] has no field 'question'"),
    ],
)
def test_broken_records_of_msvdqa_are_told(tmp_path: Path, change: Any, said: str) -> None:
    folder = miniature_clips.msvdqa(tmp_path)
    path = folder / "test_qa.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"msvdqa: '.*/test_qa.json'{said}"):
        read_msvdqa(str(folder), "test")


def test_ivqa_has_five_answers_and_a_part_of_a_video(tmp_path: Path) -> None:
    benchmark = read_ivqa(str(miniature_clips.ivqa(tmp_path)), "test")
    first = benchmark.queries[0]
    assert _facts(first) == (
        "testvideo_2_100_110.5", "videos/testvideo_2", "What is\ncut?",
        ("bread", "loaf", "bread", "toast", "bread"),
    )  # fmt: skip
    assert first.details == {
        "video": "testvideo_2", "start_seconds": 100, "end_seconds": 110.5,
    }  # fmt: skip
    held = by_id(benchmark.support)["ab_cdefghij_30_41"]
    assert held.question == 'What does she hold, a "tool"?'
    assert held.answers == ("knife, sharp", "knife", "knife", "fork")


def test_parts_of_ivqa_may_be_cut_out(tmp_path: Path) -> None:
    benchmark = read_ivqa(str(miniature_clips.ivqa(tmp_path, "clips")), "test")
    # One of them is called as its video alone.
    check_clips(benchmark, {"testvideo_1_0_9": "testvideo_1"})
    assert benchmark.queries[0].details == {"video": "testvideo_2"}


@pytest.mark.parametrize("home", ["videos", "clips"])
def test_parts_of_one_video_are_on_one_side(tmp_path: Path, home: str) -> None:
    benchmark = read_ivqa(str(miniature_clips.ivqa(tmp_path, home)), "validation")
    asked = {item.details["video"] for item in benchmark.queries}
    assert asked and not asked & {item.details["video"] for item in benchmark.support}


def test_a_second_question_about_a_part_of_ivqa_has_its_own_id(tmp_path: Path) -> None:
    folder = miniature_clips.ivqa(tmp_path)
    with (folder / "test.csv").open("a") as file:
        file.write("Why?,hot,hot,hot,hot,hot,0,9,testvideo_1,5\n")
    benchmark = read_ivqa(str(folder), "test")
    assert [item.id for item in benchmark.queries][1:] == ["testvideo_1_0_9", "testvideo_1_0_9/2"]
    with (folder / "test.csv").open("a") as file:
        file.write("Why?,hot,hot,hot,hot,hot,0,9,testvideo_1,5\n")
    with pytest.raises(UserError, match=r"test.csv' line 6: the question 'Why\?' comes a second"):
        read_ivqa(str(folder), "test")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("Why?,,,,,,0,9,x,5", " has no answer or caption"),
        ("Why?,a,a,a,a,a,9,0,x,5", ": a segment from 9 to 0 seconds"),
        ("Why?,a,a,a,a,a,soon,9,x,5", ": start is 'soon'; expected a number"),
        ("Why?,a,a,a,a,0,9,x,5", " does not have one field"),
        ("Why?,a,a,a,a,a,0,9,,5", ": video_id is empty"),
    ],
)
def test_broken_rows_of_ivqa_are_told(tmp_path: Path, row: str, said: str) -> None:
    folder = miniature_clips.ivqa(tmp_path)
    with (folder / "test.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(UserError, match=f"ivqa: '.*/test.csv' line 5{said}"):
        read_ivqa(str(folder), "test")
