"""The `score` entry point: one JSON object from files, and mistakes in one line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.evaluation.metrics import golden, tiny_wordnet

REPOSITORY = Path(__file__).parents[1]


def score(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flamingo_jax.score", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
    )


def scored(metric: str, folder: Path, results: str, *more: str) -> dict[str, Any]:
    """The printed object; annotations.json and `results` are in `folder`."""
    done = score(
        f"--metric={metric}",
        f"--annotations={folder}/annotations.json",
        f"--results={folder}/{results}",
        *more,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def write(folder: Path, **contents: Any) -> None:
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def write_captions(folder: Path) -> dict[str, Any]:
    """The stored captions in COCO's format, results in another order; returns what is stored."""
    stored = golden.load("captions.json")
    number = len(stored["predictions"])
    results = [{"image_id": n, "caption": stored["predictions"][n]} for n in range(number)]
    write(
        folder,
        annotations={
            "images": [{"id": n} for n in range(number)],
            "annotations": [
                {"image_id": n, "id": 10 * n, "caption": text}
                for n, texts in enumerate(stored["references"])
                for text in texts
            ],
        },
        results=results[::-1],
    )
    return stored


@pytest.mark.parametrize(
    ("metric", "name", "place"), [("cider", "cider", None), ("bleu4", "bleu", 3),
                                  ("rouge_l", "rouge_l", None)]
)  # fmt: skip
def test_captions_score_as_coco_caption_scores_them(
    tmp_path: Path, metric: str, name: str, place: int | None
) -> None:
    stored = write_captions(tmp_path)
    found = scored(metric, tmp_path, "results.json", "--resamples=200")
    value = stored[name] if place is None else stored[name][place]
    assert found["value"] == pytest.approx(100 * value, abs=golden.TOLERANCE)
    assert found["metric"] == metric and found["n"] == 60
    low, high = found["confidence_interval"]
    assert low < found["value"] < high
    assert 0 < found["stderr"] < high - low


def test_groups_are_compared(tmp_path: Path) -> None:
    write_captions(tmp_path)
    groups = {str(n): "female" if n % 3 else "male" for n in range(40)}
    write(tmp_path, groups=groups, alone={"0": "male"})
    found = scored(
        "cider", tmp_path, "results.json", "--resamples=50", "--per_item",
        f"--groups={tmp_path}/groups.json",
    )  # fmt: skip
    points = [item["value"] for item in found["per_item"]]
    female = [points[n] for n in range(40) if n % 3]
    male = [points[n] for n in range(40) if not n % 3]
    expected = stats.ttest_ind(female, male, equal_var=False)
    assert [(group["name"], group["n"]) for group in found["groups"]] == [
        ("female", 26), ("male", 14)
    ]  # fmt: skip
    (difference,) = found["differences"]
    assert difference["difference"] == pytest.approx(np.mean(female) - np.mean(male))
    assert difference["t"] == pytest.approx(expected.statistic)
    assert difference["p"] == pytest.approx(expected.pvalue)

    done = score(
        "--metric=cider", f"--annotations={tmp_path}/annotations.json",
        f"--results={tmp_path}/results.json", f"--groups={tmp_path}/alone.json",
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr.endswith(
        "there are scores of the groups ['male'] alone; two must have some\n"
    )


def test_vqa_scores_as_the_official_evaluation(tmp_path: Path) -> None:
    stored = golden.load("vqa.json")
    results = [
        {"question_id": question["question_id"], "answer": question["prediction"]}
        for question in stored["questions"]
    ]
    write(tmp_path, annotations={"annotations": stored["questions"]}, results=results[::-1])
    for metric in ("vqa", "vizwiz"):
        found = scored(metric, tmp_path, "results.json", "--per_item")
        assert found["value"] == pytest.approx(np.mean(stored[metric]), abs=golden.TOLERANCE)
        points = [item["value"] for item in found["per_item"]]
        assert points == pytest.approx(stored[metric], abs=golden.TOLERANCE)
        assert [item["id"] for item in found["per_item"]] == list(range(len(points)))


def test_rankings_score_as_the_official_code(tmp_path: Path) -> None:
    stored = golden.load("rankings.json")

    rows = stored["roc_auc"]
    labels = [{"id": n, "label": label} for n, label in enumerate(rows["labels"])]
    write(tmp_path, annotations=labels)
    table = "".join(f"{n},{proba}\n" for n, proba in enumerate(rows["scores"]))
    (tmp_path / "r.csv").write_text("id,proba\n" + table)
    found = scored("roc_auc", tmp_path, "r.csv")
    assert found["value"] == pytest.approx(rows["value"], abs=golden.TOLERANCE)
    assert found["stderr"] > 1

    rows = stored["ndcg"]
    keys = [{"image_id": n, "round_id": 1} for n in range(6)]
    relevance = [k | {"gt_relevance": r} for k, r in zip(keys, rows["relevance"], strict=True)]
    ranks = [key | {"ranks": row} for key, row in zip(keys, rows["ranks"], strict=True)]
    write(tmp_path, annotations=relevance, ndcg=ranks)
    found = scored("ndcg", tmp_path, "ndcg.json")
    assert found["value"] == pytest.approx(np.mean(rows["per_item"]), abs=golden.TOLERANCE)

    rows = stored["top_k"]
    labels = [{"id": n, "label": label} for n, label in enumerate(rows["labels"])]
    scores = [{"id": n, "scores": row} for n, row in enumerate(rows["scores"])]
    write(tmp_path, annotations=labels, scores=scores[::-1])
    found = scored("mean_top1_top5", tmp_path, "scores.json")
    assert found["value"] == pytest.approx(np.mean([rows["top1"], rows["top5"]]))

    rows = stored["recall"]
    texts = [{"text_id": n, "image_id": image} for n, image in enumerate(rows["images"])]
    write(tmp_path, annotations=texts)
    np.savez(
        tmp_path / "r.npz",
        image_ids=np.arange(8),
        text_ids=np.arange(24),
        similarity=rows["similarity"],
    )
    found = scored("text_to_image_recall_at_5", tmp_path, "r.npz")
    assert (found["value"], found["n"]) == (np.mean(rows["text_to_image_5"]), 24)


def test_mwap_scores_as_the_official_code(tmp_path: Path) -> None:
    stored = golden.load("rankings.json")["mwap"]
    with open(tmp_path / "annotations.json", "w", newline="") as file:
        table = csv.DictWriter(file, list(stored["clips"][0]))
        table.writeheader()
        table.writerows(stored["clips"])
    np.save(tmp_path / "r.npy", stored["scores"])
    found = scored("mwap", tmp_path, "r.npy", "--per_item", "--resamples=100")
    assert found["value"] == pytest.approx(stored["value"], abs=golden.TOLERANCE)
    assert found["n"] == len(found["per_item"]) == 8
    assert found["stderr"] > 0


def test_wups_over_a_tiny_wordnet(tmp_path: Path) -> None:
    tiny_wordnet.write(tmp_path)
    table = "video,qid,answer,type\n1,0,a dog,CW\n1,1,two,DC\n1,2,red knife,DO\n"
    (tmp_path / "annotations.json").write_text(table)
    write(tmp_path, results={"1": {"0": "the cats", "1": "three", "2": "knife"}})
    (tmp_path / "stop.txt").write_text("a\nthe\n")
    more = [f"--wordnet={tmp_path}", f"--stop_words={tmp_path}/stop.txt", "--per_item"]
    found = scored("wups", tmp_path, "results.json", *more)
    points = {item["id"]: item["value"] for item in found["per_item"]}
    # "red" and "knife" have only the root above all things in common, 1 and 3 steps above them.
    assert points == pytest.approx({"1/0": 100 * 4 / 7, "1/1": 0, "1/2": 100 * 2 / 6})


def test_answers_of_one_item_have_no_interval(tmp_path: Path) -> None:
    write(tmp_path, annotations=[{"id": 1, "answer": "Cat"}], r=[{"id": 1, "answer": "cat."}])
    found = scored("exact_match", tmp_path, "r.json")
    assert (found["value"], found["n"]) == (100.0, 1)
    assert found["stderr"] is None and found["confidence_interval"] is None


def test_the_seed_decides_the_interval(tmp_path: Path) -> None:
    write_captions(tmp_path)
    runs = [
        scored("cider", tmp_path, "results.json", f"--seed={seed}", "--resamples=50")
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1]
    assert runs[0]["stderr"] != runs[2]["stderr"] and runs[0]["value"] == runs[2]["value"]


def test_images_without_a_result_are_told(tmp_path: Path) -> None:
    write_captions(tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())
    write(tmp_path, results=results[:10])
    done = score(
        "--metric=cider",
        f"--annotations={tmp_path}/annotations.json",
        f"--results={tmp_path}/results.json",
    )
    assert json.loads(done.stdout)["n"] == 10
    assert done.stderr.startswith("warning: 50 of 60 annotated images have no result")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--metric is missing; there are cider, "),
        (["--metric=meteor"], "--metric=meteor is not known"),
        (["--metric=cider"], "--annotations is missing"),
        (["--metric=cider", "--annotations=/nowhere"], "--annotations=/nowhere: No such file"),
        (["--metric=wups", "--annotations=x", "--results=y"], "apt-get install wordnet-base"),
        (["--metric=cider", "--resamples=1"], "--resamples must be at least 2"),
        (["--metrics=cider"], "Unknown command line flag 'metrics'"),
        (["cider"], "unexpected argument 'cider'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_3(arguments: list[str], words: str) -> None:
    done = score(*arguments)
    assert done.returncode == 3
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stdout == ""


def test_no_item_has_an_area_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, annotations=[{"id": 1, "label": 1}, {"id": 2, "label": 0}],
          r=[{"id": 1, "score": 0.3}, {"id": 2, "score": 0.4}])  # fmt: skip
    files = [f"--annotations={tmp_path}/annotations.json", f"--results={tmp_path}/r.json"]
    done = score("--metric=roc_auc", *files, "--per_item")
    assert done.returncode == 3 and "none has its own score" in done.stderr
    assert json.loads(score("--metric=roc_auc", *files).stdout)["value"] == 0.0


def test_neither_jax_nor_tensorflow_is_loaded() -> None:
    code = (
        "import sys, flamingo_jax.score;"
        "print([name for name in ('jax', 'haiku', 'tensorflow', 'seqio', 'sklearn', 'scipy')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
