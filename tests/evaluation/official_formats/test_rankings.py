"""Scores of candidates: labels, HatefulMemes, VisDial, RareAct, retrieval."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.official_formats import rankings

LABELS = [{"id": "b", "label": 1}, {"id": "a", "label": 0}]


def save(folder: Path, name: str, content: Any) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_labels_and_scores_as_list_and_as_lines(tmp_path: Path) -> None:
    scores = [{"id": "a", "scores": [1, 2]}, {"id": "b", "scores": [3, 4]}]
    lines = "\n".join(json.dumps(row) for row in scores) + "\n\n"
    for content in (scores, lines):
        read = rankings.read_labelled(
            save(tmp_path, "a.json", LABELS), save(tmp_path, "r.json", content)
        )
        assert read.ids == ("b", "a") and read.right == (1, 0)
        assert [row.tolist() for row in read.scores] == [[3, 4], [1, 2]]


@pytest.mark.parametrize(
    ("labels", "scores", "words"),
    [
        (LABELS, [{"id": "a", "scores": [1]}, {"id": "b", "scores": [1]}], "the label 1"),
        (LABELS, [{"id": "a", "scores": [1, 2]}], "no result"),
        (LABELS, "{\n", "line 1: not JSON"),
        ([{"id": "a", "label": True}], [], "the label True is not a whole number"),
        ([{"id": "a", "label": 0}], [{"id": "a", "scores": ["x"]}], "could not convert"),
    ],
)
def test_wrong_labels_are_named(tmp_path: Path, labels: Any, scores: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        rankings.read_labelled(save(tmp_path, "a.json", labels), save(tmp_path, "r.json", scores))


def test_hateful_memes(tmp_path: Path) -> None:
    labels = '{"id": 42, "img": "x.png", "label": 1}\n{"id": 43, "label": 0}\n'
    annotations = save(tmp_path, "dev.jsonl", labels)
    table = save(tmp_path, "r.csv", "id,proba,label\n43,0.25,0\n42,0.5,1\n")
    listed = save(tmp_path, "r.json", [{"id": 42, "score": 0.5}, {"id": 43, "score": 0.25}])
    for results in (table, listed):
        read = rankings.read_hateful_memes(annotations, results)
        assert (read.ids, read.scores, read.right) == ((42, 43), (0.5, 0.25), (1, 0))
    with pytest.raises(UserError, match="needs both 0 and 1"):
        rankings.read_hateful_memes(
            save(tmp_path, "one.jsonl", '{"id": 42, "label": 1}'),
            save(tmp_path, "one.csv", "id,proba\n42,0.5\n"),
        )


def test_visdial(tmp_path: Path) -> None:
    annotations = save(
        tmp_path, "a.json", [{"image_id": 9, "round_id": 2, "gt_relevance": [0, 1, 0.5]}]
    )
    rounds = [{"image_id": 9, "round_id": n, "ranks": [2, 3, 1]} for n in (1, 2, 3)]
    read = rankings.read_visdial(annotations, save(tmp_path, "r.json", rounds))
    assert read.ids == ("9/2",)
    assert read.scores[0].tolist() == [-2, -3, -1]
    for ranks in ([1, 2], [1, 1, 2], [0, 1, 2]):
        rounds[1]["ranks"] = ranks
        with pytest.raises(UserError, match="the ranks of 9/2 are not 1 to 3"):
            rankings.read_visdial(annotations, save(tmp_path, "r.json", rounds))
    with pytest.raises(UserError, match="no result"):
        rankings.read_visdial(annotations, save(tmp_path, "r.json", rounds[:1]))


def test_rareact(tmp_path: Path) -> None:
    annotations = save(
        tmp_path,
        "rareact.csv",
        "id,video_id,start,end,class_id,verb,noun,annotation\n"
        "5,v1,0,2,0,cut,phone,1\n3,v2,0,2,1,wash,phone,4\n",
    )
    scores = np.asarray([[1.0, 2.0], [3.0, 4.0]])
    np.savez(tmp_path / "r.npz", ids=[3, 5], scores=scores)
    np.save(tmp_path / "r.npy", scores[::-1])
    for name in ("r.npz", "r.npy"):
        clips, found = rankings.read_rareact(annotations, str(tmp_path / name))
        assert [clip.annotation for clip in clips] == [1, 4]
        assert found.tolist() == [[3, 4], [1, 2]]
    np.save(tmp_path / "short.npy", scores[:1])
    with pytest.raises(UserError, match="1 rows of scores for 2 of the table"):
        rankings.read_rareact(annotations, str(tmp_path / "short.npy"))
    np.savez(tmp_path / "narrow.npz", ids=[3, 5], scores=scores[:, :1])
    with pytest.raises(UserError, match="2 clips and 2 classes"):
        rankings.read_rareact(annotations, str(tmp_path / "narrow.npz"))
    np.savez(tmp_path / "objects.npz", ids=np.asarray([3, "x"], dtype=object), scores=scores)
    with pytest.raises(UserError, match="no .npz file with the arrays"):
        rankings.read_rareact(annotations, str(tmp_path / "objects.npz"))


def test_retrieval(tmp_path: Path) -> None:
    rows = [
        {"text_id": "t1", "image_id": 7},
        {"text_id": "t2", "image_id": 8},
        {"text_id": "t3", "image_id": 7},
    ]
    annotations = save(tmp_path, "a.json", rows)
    np.savez(
        tmp_path / "r.npz",
        image_ids=[8, 7],
        text_ids=["t3", "t2", "t1"],
        similarity=np.arange(6.0).reshape(2, 3),
    )
    read, similarity, is_match = rankings.read_retrieval(annotations, str(tmp_path / "r.npz"))
    assert read.ids == (8, 7) and read.right == ("t3", "t2", "t1")
    assert similarity[1, 2] == 5
    assert is_match.tolist() == [[False, True, False], [True, False, True]]
    np.savez(tmp_path / "s.npz", image_ids=[8], text_ids=["t2"], similarity=[[1.0]])
    with pytest.raises(UserError, match="1 of 2 items have no result, the first of them 7"):
        rankings.read_retrieval(annotations, str(tmp_path / "s.npz"))
