"""Kinetics-700-2020: classes, names of clips, and broken tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.kinetics import read_kinetics700
from tests.evaluation.benchmarks import miniature_clips
from tests.evaluation.benchmarks.clips_shown import by_id, check_clips

CLASSES = ("air drumming", "massaging person's head", "washing feet")


def test_candidates_are_the_sorted_classes_and_labels_point_at_them(tmp_path: Path) -> None:
    benchmark = read_kinetics700(str(miniature_clips.kinetics700(tmp_path)), "test")
    assert benchmark.candidates == CLASSES
    assert [(item.id, item.label) for item in benchmark.queries] == [
        ("air drumming/-ddddddddd__000007_000017", 0),
        ("washing feet/ccccccccccc_000084_000094", 2),
        ("washing feet/eeeeeeeeeee_001000_001010", 2),
    ]
    for item in (*benchmark.queries, *benchmark.support):
        assert item.answers == (CLASSES[item.label],)
        # The same video at another time, or of another class, is no shot.
        assert item.details == {"video": item.id.partition("/")[2][:11]}
    assert len(benchmark.support) == 6


def test_the_first_shots_are_of_all_classes(tmp_path: Path) -> None:
    benchmark = read_kinetics700(str(miniature_clips.kinetics700(tmp_path)), "test")
    assert {item.label for item in benchmark.support[:3]} == {0, 1, 2}


def test_a_class_has_32_shots_and_10_validation_queries(tmp_path: Path) -> None:
    folder = miniature_clips.kinetics700(tmp_path)
    rows = [
        (label, f"video{number:06d}", number, number + 10, "train")
        for number in range(100)
        for label in CLASSES
    ]
    header = ("label", "youtube_id", "time_start", "time_end", "split")
    miniature_clips.write_table(folder / "train.csv", header, rows)
    test = read_kinetics700(str(folder), "test")
    validation = read_kinetics700(str(folder), "validation")
    for label in range(3):
        assert [item.label for item in test.support].count(label) == 32
        assert [item.label for item in validation.support].count(label) == 32
        assert [item.label for item in validation.queries].count(label) == 10
    slices = [
        {item.id for item in items}
        for items in (test.support, validation.support, validation.queries)
    ]
    assert sum(map(len, slices)) == len(set.union(*slices)) == 3 * 74


def test_a_clip_of_two_classes_is_one_of_each(tmp_path: Path) -> None:
    benchmark = read_kinetics700(str(miniature_clips.kinetics700(tmp_path)), "test")
    support = by_id(benchmark.support)
    assert support["air drumming/bbbbbbbbbbb_000003_000013"].label == 0
    assert support["washing feet/bbbbbbbbbbb_000003_000013"].label == 2


def test_clips_may_lie_without_folders_of_classes(tmp_path: Path) -> None:
    folder = miniature_clips.kinetics700(tmp_path)
    for clip in list((folder / "train").glob("*/*.mp4")):
        clip.rename(folder / "train" / clip.name)
    check_clips(read_kinetics700(str(folder), "test"))


def test_the_order_of_the_rows_changes_no_query(tmp_path: Path) -> None:
    folder = miniature_clips.kinetics700(tmp_path)
    before = by_id(read_kinetics700(str(folder), "test").queries)
    table = folder / "annotations" / "val.csv"
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([header, *reversed(rows)]))
    assert by_id(read_kinetics700(str(folder), "test").queries) == before


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("washing feet,--GkrdYZ9Tc,0,10,train", "line 8: the clip .* comes a second time"),
        ("washing feet,zz,x,10,train", "line 8: time_start is 'x'; expected a number"),
        ("washing feet,zz,0.5,10,train", "line 8: time_start is 0.5; expected a whole number"),
        ("washing feet,zz,0,1000000,train", "line 8: time_end is 1000000; expected a whole"),
        (",zz,0,10,train", "line 8: label is empty"),
        ("washing feet,,0,10,train", "line 8: youtube_id is empty"),
    ],
)
def test_broken_rows_are_told(tmp_path: Path, row: str, said: str) -> None:
    folder = miniature_clips.kinetics700(tmp_path)
    with (folder / "train.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(UserError, match=f"kinetics700: '.*train.csv' {said}"):
        read_kinetics700(str(folder), "test")


def test_a_table_without_labels_is_told(tmp_path: Path) -> None:
    """That of the test set has none, and is no substitute for `val`."""
    folder = miniature_clips.kinetics700(tmp_path)
    (folder / "annotations" / "val.csv").write_text("youtube_id,time_start,time_end,split\n")
    with pytest.raises(UserError, match=r"annotations/val.csv' has no column 'label'"):
        read_kinetics700(str(folder), "test")
