"""VQAv2 and OK-VQA."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.vqa import read_okvqa, read_vqav2
from tests.evaluation.benchmarks import miniatures
from tests.evaluation.benchmarks.pictures_shown import by_id, check_pictures

VALIDATION = ["262148000", "393225000", "262148002"]


def test_vqav2_asks_val_where_test_dev_is_not_there(tmp_path: Path) -> None:
    benchmark = read_vqav2(str(miniatures.vqav2(tmp_path)), "test")
    assert (benchmark.name, benchmark.split) == ("vqav2", "val")
    assert [item.id for item in benchmark.queries] == VALIDATION
    assert benchmark.queries[0].answers[:3] == ("down", "at table", "down")
    assert all(len(item.answers) == 10 for item in benchmark.queries)
    assert benchmark.queries[1].question == "Is it daytime?"
    check_pictures(benchmark)


def test_vqav2_asks_test_dev_where_its_questions_are(tmp_path: Path) -> None:
    folder = miniatures.vqav2(tmp_path)
    miniatures.add_test_dev(folder)
    benchmark = read_vqav2(str(folder), "test")
    assert benchmark.split == "test-dev"
    assert [item.id for item in benchmark.queries] == ["426478000", "187950001"]
    assert [item.answers for item in benchmark.queries] == [(), ()]
    assert benchmark.queries[0].medium == "test2015/COCO_test2015_000000426478.jpg"
    check_pictures(benchmark)
    # What is asked may also be said, and shots are the same either way.
    val = read_vqav2(str(folder), "val")
    assert val.split == "val" and [item.id for item in val.queries] == VALIDATION
    assert val.support == benchmark.support
    assert read_vqav2(str(folder), "test-dev").queries == benchmark.queries


def test_vqav2_shows_training_questions(tmp_path: Path) -> None:
    benchmark = read_vqav2(str(miniatures.vqav2(tmp_path)), "test")
    support = by_id(benchmark.support)
    assert set(support) == {"9000", "9001", "25000", "30000", "34000", "36000"}
    assert support["9000"].answers[0] == "pink"
    assert support["9001"].answers[0] == "broccoli"
    assert support["9000"].medium == support["9001"].medium


def test_the_validation_is_made_of_training_questions(tmp_path: Path) -> None:
    for benchmark in (
        read_vqav2(str(miniatures.vqav2(tmp_path)), "validation"),
        read_okvqa(str(miniatures.okvqa(tmp_path)), "validation"),
    ):
        assert benchmark.split == "validation"
        media = {item.medium for item in benchmark.queries}
        assert all(medium.startswith("train2014/") for medium in media)
        assert not media & {item.medium for item in benchmark.support}
        check_pictures(benchmark)


def test_okvqa_compares_stems_and_keeps_what_people_wrote(tmp_path: Path) -> None:
    benchmark = read_okvqa(str(miniatures.okvqa(tmp_path)), "test")
    assert (benchmark.name, benchmark.split) == ("okvqa", "val")
    assert [item.id for item in benchmark.queries] == VALIDATION
    assert benchmark.queries[0].answers[:2] == ("down", "at table")
    assert benchmark.queries[0].details["raw_answers"][:2] == ("downing", "at tableing")
    # Its pictures lie in the folder of COCO.
    assert not (tmp_path / "okvqa" / "val2014").exists()
    check_pictures(benchmark)


def test_a_missing_file_or_folder_is_named(tmp_path: Path) -> None:
    folder = miniatures.vqav2(tmp_path)
    with pytest.raises(UserError, match="test-dev2015_questions.json"):
        read_vqav2(str(folder), "test-dev")
    shutil.rmtree(folder / "val2014")
    with pytest.raises(UserError, match=r"vqav2: there is no folder of media 'val2014' .*'coco'"):
        read_vqav2(str(folder), "test")
    (folder / "v2_mscoco_train2014_annotations.json").unlink()
    with pytest.raises(UserError, match="vqav2: there is no file 'v2_mscoco_train2014_annot"):
        read_vqav2(str(folder), "test")
