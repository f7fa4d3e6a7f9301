"""RareAct: actions as the prompt tells them, annotations, and broken tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.rareact import read_rareact, told
from flamingo_jax.evaluation.metrics.mean_weighted_average_precision import (
    AnnotatedClip,
    MeanWeightedAveragePrecision,
)
from tests.evaluation.benchmarks import miniature_clips
from tests.evaluation.benchmarks.clips_shown import by_id


@pytest.mark.parametrize(
    ("verb", "noun", "expected"),
    [
        ("hammer", "phone", "a person hammers a phone"),
        ("wash", "egg", "a person washes an egg"),
        ("measure", "carrots", "a person measures carrots"),
        ("spray", "door", "a person sprays a door"),
        ("dry", "oven", "a person dries an oven"),
        ("fix", "glass", "a person fixes a glass"),
        ("peel", "orange", "a person peels an orange"),
        ("microwave", "shoes", "a person microwaves shoes"),
        ("blend", "hair", "a person blends a hair"),
        ("catch", "apple", "a person catches an apple"),
    ],
)
def test_verbs_and_nouns_are_told_as_a_sentence(verb: str, noun: str, expected: str) -> None:
    assert told(verb, noun) == expected


def test_candidates_are_in_the_order_of_the_class_ids(tmp_path: Path) -> None:
    benchmark = read_rareact(str(miniature_clips.rareact(tmp_path)), "test")
    assert benchmark.candidates == (
        "a person measures carrots", "a person washes an egg", "a person hammers a phone",
        "a person sprays a door",
    )  # fmt: skip
    assert benchmark.support == ()


def test_rows_keep_what_the_metric_needs(tmp_path: Path) -> None:
    benchmark = read_rareact(str(miniature_clips.rareact(tmp_path)), "test")
    # The order of the table is that of the official predictions.
    assert [item.id for item in benchmark.queries] == ["0", "1", "2", "5", "4", "3"]
    queries = by_id(benchmark.queries)
    assert queries["0"].details == {
        "video": "_5YesRqExrw", "verb": "hammer", "noun": "phone", "class_id": 2, "annotation": 1,
        "start_seconds": 30, "end_seconds": 40,
    }  # fmt: skip
    assert queries["0"].label == 2 and queries["0"].answers == ("a person hammers a phone",)
    # Whatever else people saw, it was not the action.
    assert {(queries[name].label, queries[name].answers) for name in "12345"} == {(-1, ())}


def test_the_metric_takes_the_details(tmp_path: Path) -> None:
    benchmark = read_rareact(str(miniature_clips.rareact(tmp_path)), "test")
    fields = ("video", "verb", "noun", "class_id", "annotation")
    clips = [
        AnnotatedClip(**{field: item.details[field] for field in fields})
        for item in benchmark.queries
    ]
    scores_NC = np.zeros((6, 4))
    scores_NC[0, 2] = 1
    assert MeanWeightedAveragePrecision(clips, scores_NC).per_class().tolist() == [100]


def test_there_is_no_validation(tmp_path: Path) -> None:
    folder = miniature_clips.rareact(tmp_path)
    with pytest.raises(UserError, match="rareact: there is no split 'validation': it has no tra"):
        read_rareact(str(folder), "validation")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("0,x,0,10,2,hammer,phone,1", " line 8: the id '0' comes a second time"),
        ("6,x,0,10,2,hammer,egg,1", r" line 8: class_id 2 is 'hammer' 'egg' here, but before"),
        ("6,x,0,10,2,hammer,phone,5", " line 8: annotation is 5; expected a whole number from 0"),
        ("6,x,0,10,5,cut,phone,1", " has no clip of class_id 4, but of later ones"),
        ("6,x,0,10,2,hammer,,1", " line 8: noun is empty"),
        ("6,x,20,10,2,hammer,phone,1", " line 8: a segment from 20 to 10 seconds"),
    ],
)
def test_broken_rows_are_told(tmp_path: Path, row: str, said: str) -> None:
    folder = miniature_clips.rareact(tmp_path)
    with (folder / "rareact.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(UserError, match=f"rareact: '.*/rareact.csv'{said}"):
        read_rareact(str(folder), "test")


def test_candidates_stay_where_a_class_has_no_clip_left(tmp_path: Path) -> None:
    folder = miniature_clips.rareact(tmp_path)
    (folder / "missing_clips.txt").write_text("2LmvYe3O_Pw\n")
    benchmark = read_rareact(str(folder), "test")
    assert len(benchmark.candidates) == 4 and "5" not in by_id(benchmark.queries)
