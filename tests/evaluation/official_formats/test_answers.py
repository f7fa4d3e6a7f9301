"""Lists of short answers, iVQA's table, NExT-OE's tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.official_formats.answers import read_answers, read_ivqa, read_next_qa


def save(folder: Path, name: str, content: Any) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_lists_are_joined_by_id(tmp_path: Path) -> None:
    annotations = [
        {"id": 2, "answer": "cat", "video_id": 7},
        {"id": 1, "answers": ["dog", "hound"]},
    ]
    results = [{"id": 1, "answer": "b"}, {"id": 2, "answer": "a"}]
    read = read_answers(save(tmp_path, "a.json", annotations), save(tmp_path, "r.json", results))
    assert read.ids == (2, 1)
    assert read.predictions == ("a", "b")
    assert read.references == (("cat",), ("dog", "hound"))


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ([{"id": 1}], "no 'answer'"),
        ([{"id": 1, "answers": "cat"}], "are not a list"),
        ([{"id": 1, "answers": []}], "are not a list of some"),
        ([], "nothing to score"),
    ],
)
def test_wrong_lists_are_named(tmp_path: Path, annotations: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_answers(save(tmp_path, "a.json", annotations), save(tmp_path, "r.json", []))


def test_ivqa(tmp_path: Path) -> None:
    table = (
        "video_id,start,question,answer1,answer2,answer3,answer4,answer5\n"
        'v1,0,"what,\nthen?",pan,pan,pot,"a, b",pan\n'
    )
    results = save(tmp_path, "r.json", [{"video_id": "v1", "answer": "pan"}])
    read = read_ivqa(save(tmp_path, "a.csv", table), results)
    assert read.references == (("pan", "pan", "pot", "a, b", "pan"),)
    with pytest.raises(UserError, match="iVQA's columns"):
        read_ivqa(save(tmp_path, "b.csv", "video_id,answer1\nv1,pan\n"), results)
    with pytest.raises(UserError, match="'v1' comes twice"):
        read_ivqa(save(tmp_path, "c.csv", table + "v1,1,who,a,b,c,d,e\n"), results)


def test_next_qa(tmp_path: Path) -> None:
    table = save(
        tmp_path, "a.csv", "video,qid,question,answer,type\n41,0,why,to play,CW\n41,1,n,two,DC\n"
    )
    results = save(tmp_path, "r.json", {"41": {"1": "three", "0": "play"}})
    additional = save(tmp_path, "b.json", {"41": {"0": "for fun"}, "42": {"0": "elsewhere"}})
    read = read_next_qa(table, results, additional)
    assert read.ids == ("41/0", "41/1")
    assert read.predictions == ("play", "three")
    assert read.references == (("to play", "for fun"), ("two",))
    assert read.types == ("CW", "DC")
    with pytest.raises(UserError, match="1 of 2 items have no result, the first of them '41/1'"):
        read_next_qa(table, save(tmp_path, "s.json", {"41": {"0": "play"}}))
    with pytest.raises(UserError, match="NExT-OE's"):
        read_next_qa(table, save(tmp_path, "t.json", [1]))
