"""VATEX and YouCook2: captions, segments, and broken records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.video_captions import read_vatex, read_youcook2
from tests.evaluation.benchmarks import miniature_clips
from tests.evaluation.benchmarks.clips_shown import by_id, check_clips


def _change(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    changed = change(content)
    path.write_text(json.dumps(changed if isinstance(changed, dict) else content))


def test_vatex_has_english_captions_by_clip(tmp_path: Path) -> None:
    benchmark = read_vatex(str(miniature_clips.vatex(tmp_path)), "test")
    assert [(item.id, item.medium, item.answers) for item in benchmark.queries] == [
        (
            "testclip_02_000017_000027",
            "videos/testclip_02_000017_000027",
            ("A cat, asleep.", 'A cat sleeps on a "bed".'),
        ),
        (
            "testclip_01_000000_000010",
            "videos/testclip_01_000000_000010",
            ("A boy skates.", "A boy rides a board."),
        ),
    ]
    support = by_id(benchmark.support)
    # The fourth training clip has only an empty caption.
    assert sorted(support) == [
        "Ptf_2VRj-V0_000122_000132", "trainclip02_000001_000011", "trainclip03_000001_000011",
    ]  # fmt: skip
    assert support["trainclip02_000001_000011"].answers == ("Two dogs run.",)


def test_vatex_may_have_its_older_public_test(tmp_path: Path) -> None:
    folder = miniature_clips.vatex(tmp_path)
    newer = folder / "vatex_public_test_english_v1.1.json"
    newer.rename(folder / "vatex_public_test_v1.0.json")
    assert len(read_vatex(str(folder), "test").queries) == 2


def test_vatex_takes_validation_queries_of_the_training_set(tmp_path: Path) -> None:
    benchmark = read_vatex(str(miniature_clips.vatex(tmp_path)), "validation")
    used = {item.id for item in (*benchmark.queries, *benchmark.support)}
    assert benchmark.queries and benchmark.support
    assert len(used) == len(benchmark.queries) + len(benchmark.support) == 3
    assert not any(name.startswith("testclip") for name in used)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.append(c[0]), r"\[2\]: the id 'testclip_02_000017_000027' comes a second"),
        (lambda c: c[1].update(enCap=[" "]), r"\[1\] has no answer or caption"),
        (lambda c: c[1].pop("enCap"), r"\[1\] has no field 'enCap'"),
        (lambda c: c[1].update(enCap="A boy"), r"\[1\]: enCap is of type str; expected list"),
        (lambda c: c[1].update(videoID=1.5), r"\[1\]: videoID is 1.5; expected a whole number"),
        (lambda c: {"videos": c}, ": the content is of type dict; expected list"),
        (lambda c: c.append(3), r"\[2\]: it is of type int; expected dict"),
    ],
)
def test_broken_records_of_vatex_are_told(tmp_path: Path, change: Any, said: str) -> None:
    folder = miniature_clips.vatex(tmp_path)
    _change(folder / "vatex_public_test_english_v1.1.json", change)
    with pytest.raises(UserError, match=f"vatex: '.*english_v1.1.json'{said}"):
        read_vatex(str(folder), "test")


def test_every_step_of_youcook2_is_a_query(tmp_path: Path) -> None:
    benchmark = read_youcook2(str(miniature_clips.youcook2(tmp_path)), "test")
    queries = by_id(benchmark.queries)
    assert sorted(queries) == ["-dh_uGahzYo_0", "-dh_uGahzYo_1"]
    assert queries["-dh_uGahzYo_0"].answers == ('fry an egg, "sunny"',)
    assert queries["-dh_uGahzYo_0"].medium == "raw_videos/validation/226/-dh_uGahzYo"
    assert queries["-dh_uGahzYo_0"].details == {
        "video": "-dh_uGahzYo", "start_seconds": 5, "end_seconds": 9.5,
    }  # fmt: skip
    support = by_id(benchmark.support)
    assert sorted(support) == ["GLd3aX16zBg_0", "fn9anlEL4FI_0", "fn9anlEL4FI_1"]
    assert support["fn9anlEL4FI_1"].answers == ("mix",)
    assert support["fn9anlEL4FI_1"].details["start_seconds"] == 90


def test_steps_of_youcook2_may_be_cut_out(tmp_path: Path) -> None:
    benchmark = read_youcook2(str(miniature_clips.youcook2(tmp_path, "clips")), "test")
    check_clips(benchmark)
    queries = by_id(benchmark.queries)
    assert queries["-dh_uGahzYo_1"].medium == "clips/-dh_uGahzYo_1"
    assert queries["-dh_uGahzYo_1"].details == {"video": "-dh_uGahzYo"}


def test_whole_videos_of_youcook2_may_lie_in_one_folder(tmp_path: Path) -> None:
    benchmark = read_youcook2(str(miniature_clips.youcook2(tmp_path, "videos")), "test")
    check_clips(benchmark)
    assert benchmark.queries[0].medium == "videos/-dh_uGahzYo"


@pytest.mark.parametrize("home", ["raw_videos", "clips"])
def test_steps_of_one_video_are_on_one_side(tmp_path: Path, home: str) -> None:
    """A shot must not show the video that is asked about."""
    benchmark = read_youcook2(str(miniature_clips.youcook2(tmp_path, home)), "validation")
    asked = {item.details["video"] for item in benchmark.queries}
    assert asked and not asked & {item.details["video"] for item in benchmark.support}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v.update(subset="train"), ": subset is 'train'; expected one of"),
        (lambda v: v["annotations"][0].update(segment=[9]), r".*\[0\]: segment has 1 numbers"),
        (lambda v: v["annotations"][0].update(segment=[9, 3]), ".*from 9 to 3 seconds is none"),
        (lambda v: v["annotations"][0].update(segment=["9", 3]), ".*a bound of segment is '9'"),
        (lambda v: v["annotations"][0].update(sentence=""), ".* has no answer or caption"),
        (lambda v: v["annotations"][0].update(id=0), ".*the id '-dh_uGahzYo_0' comes a second"),
        (lambda v: v.pop("annotations"), " has no field 'annotations'"),
    ],
)
def test_broken_records_of_youcook2_are_told(tmp_path: Path, change: Any, said: str) -> None:
    folder = miniature_clips.youcook2(tmp_path)
    path = folder / "youcookii_annotations_trainval.json"
    content = json.loads(path.read_text())
    change(content["database"]["-dh_uGahzYo"])
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"youcook2: '.*' database\['-dh_uGahzYo'\]{said}"):
        read_youcook2(str(folder), "test")
