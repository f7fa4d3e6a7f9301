"""Measures on files: those that tests/test_score.py does not run, and the page that lists them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.official_scores import METRICS, Files, Scored
from tests.evaluation.metrics import golden, tiny_wordnet

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def scored(metric: str, folder: Path, annotations: Any, results: Any, **more: str) -> Scored:
    paths = {}
    for name, content in (("annotations", annotations), ("results", results)):
        paths[name] = str(folder / name)
        text = content if isinstance(content, str) else json.dumps(content)
        Path(paths[name]).write_text(text, encoding="utf-8")
    return METRICS[metric](Files(**paths, **more))


def test_every_measure_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    abbreviated = {f"bleu{n}" for n in (2, 3)} | {
        f"{direction}_recall_at_{k}"
        for direction in ("image_to_text", "text_to_image")
        for k in (1, 5, 10)
    }
    assert "image_to_text_recall_at_1" in text
    assert [name for name in METRICS if name not in abbreviated and f"`{name}`" not in text] == []


def test_accuracy_of_ranked_candidates(tmp_path: Path) -> None:
    labels = [{"id": "a", "label": 5}, {"id": "b", "label": 0}]
    scores = [
        {"id": "b", "scores": [9, 8, 7, 6, 5, 4]},
        {"id": "a", "scores": [0, 1, 2, 3, 4, 3.5]},
    ]
    values = {
        metric: scored(metric, tmp_path, labels, scores).value
        for metric in ("top1", "top5", "mean_top1_top5")
    }
    assert values == {"top1": 50.0, "top5": 100.0, "mean_top1_top5": 75.0}


def test_ivqa(tmp_path: Path) -> None:
    table = "video_id,answer1,answer2,answer3,answer4,answer5\nv,pan,pan,pot,pot,jar\nw,a,b,c,d,e\n"
    results = [{"video_id": "w", "answer": "c"}, {"video_id": "v", "answer": "pot"}]
    found = scored("ivqa", tmp_path, table, results)
    assert found.per_item == (("v", 100.0), ("w", 50.0)) and found.value == 75.0


def test_capped_vqa(tmp_path: Path) -> None:
    annotations = {"annotations": [{"question_id": 1, "answers": ["cat"] * 2 + ["dog"] * 8}]}
    found = scored("vqa_capped", tmp_path, annotations, [{"question_id": 1, "answer": "A cat"}])
    assert found.value == pytest.approx(200 / 3)


def test_wups_below_a_threshold(tmp_path: Path) -> None:
    tiny_wordnet.write(tmp_path)
    table = "video,qid,answer,type\n1,0,dog,CW\n"
    found = scored("wups_0.9", tmp_path, table, {"1": {"0": "cat"}}, wordnet=str(tmp_path))
    assert found.value == pytest.approx(10 * 4 / 7)
    assert "stopwords.txt" in found.warnings[0]
    with pytest.raises(UserError, match="--stop_words=/nowhere: No such file"):
        scored(
            "wups", tmp_path, table, {"1": {"0": "cat"}}, wordnet=str(tmp_path),
            stop_words="/nowhere",
        )  # fmt: skip


def test_a_resample_of_everything_is_the_value(tmp_path: Path) -> None:
    stored = golden.load("captions.json")
    ids = range(len(stored["predictions"]))
    annotations = {
        "images": [{"id": n} for n in ids],
        "annotations": [
            {"image_id": n, "caption": text} for n in ids for text in stored["references"][n]
        ],
    }
    results = [{"image_id": n, "caption": stored["predictions"][n]} for n in ids]
    for metric in ("cider", "rouge_l", "bleu1", "bleu2", "bleu3", "bleu4"):
        found = scored(metric, tmp_path, annotations, results)
        once = found.measure(np.ones((1, found.num_drawn)))
        assert once.tolist() == pytest.approx([found.value])
        assert found.per_item is not None and len(found.per_item) == found.n == 60


@pytest.mark.parametrize("metric", ["top1", "exact_match", "ndcg", "roc_auc"])
def test_nothing_to_score_is_said(tmp_path: Path, metric: str) -> None:
    with pytest.raises(UserError, match="nothing to score"):
        scored(metric, tmp_path, [], [])
