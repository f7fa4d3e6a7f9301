"""Makes rankings.json: what the official code says of made-up scores of candidates.

    python tests/golden/metrics/make_rankings.py VISDIAL_METRICS RAREACT_SCORE JUST_ASK_UTIL

The arguments are visdialch/metrics.py of visdial-challenge-starter-pytorch, compute_score.py of
antoine77340/RareAct, and util.py of antoyang/just-ask. The area under the ROC curve is that of
scikit-learn; top-1, top-5 and recall are those of torch.topk. Made with scikit-learn 1.9.1,
torch 2.13.0, pandas 3.1.1, Python 3.11. Not run by the tests.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

FOLDER = Path(__file__).parent
VERBS, NOUNS = ["cut", "wash", "drill"], ["phone", "orange", "laptop"]


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def roc_auc(random: np.random.Generator) -> dict[str, Any]:
    labels = random.integers(2, size=40)
    # One decimal: many ties.
    scores = np.round(random.normal(size=40) + labels, 1)
    return {
        "scores": scores.tolist(),
        "labels": labels.tolist(),
        "value": 100 * roc_auc_score(labels, scores),
    }


def ndcg(random: np.random.Generator, module: ModuleType) -> dict[str, Any]:
    relevance = np.round(random.random((6, 20)) * (random.random((6, 20)) < 0.3), 1)
    relevance[:, 0] = 1.0
    ranks = np.stack([random.permutation(20) + 1 for _ in range(6)])
    values = []
    for row, relevant in zip(ranks, relevance, strict=True):
        metric = module.NDCG()
        # Twice: the official code squeezes a batch of one away.
        metric.observe(torch.tensor(np.stack([-row, -row]) * 1.0), torch.tensor([relevant] * 2))
        values.append(100 * metric.retrieve()["ndcg"])
    return {"ranks": ranks.tolist(), "relevance": relevance.tolist(), "per_item": values}


def mwap(random: np.random.Generator, path: str) -> dict[str, Any]:
    rows = []
    for number in range(160):
        verb, noun = int(random.integers(3)), int(random.integers(3))
        rows.append(
            {
                "id": 1000 - number,
                "video_id": f"v{random.integers(25)}",
                "start": 0,
                "end": 2,
                "class_id": 3 * verb + noun,
                "verb": VERBS[verb],
                "noun": NOUNS[noun],
                "annotation": int(random.choice(5, p=[0.4, 0.3, 0.1, 0.1, 0.1])),
            }
        )
    for row in rows:
        if row["class_id"] == 8 and row["annotation"] == 1:
            row["annotation"] = 0  # A class without a positive clip is left out.
    scores = np.round(random.normal(size=(160, 9)), 1)
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/rareact.csv", "w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
        np.save(f"{folder}/scores.npy", scores)
        done = subprocess.run(
            [sys.executable, Path(path).resolve(), "scores.npy"],
            cwd=folder, capture_output=True, text=True, check=True,
        )  # fmt: skip
    value = 100 * float(done.stdout.split()[-1])
    return {"clips": rows, "scores": scores.tolist(), "value": value}


def ivqa(random: np.random.Generator, module: ModuleType) -> dict[str, Any]:
    vocabulary = ["red", "blue", "a knife", "wooden spoon", "pan"]
    answers = random.integers(5, size=(12, 5))
    predictions = random.integers(5, size=12)
    counts = torch.stack([torch.bincount(torch.tensor(row), minlength=5) for row in answers])
    # As in train/train_videoqa.py.
    right = (counts / 2).clamp(max=1)
    values = []
    for prediction, row in zip(predictions, right, strict=True):
        found = module.compute_aggreeings(
            torch.tensor([[prediction]]), row[None], [1], ["acc"], defaultdict(int), ivqa=True
        )
        values.append(100 * found["acc"])
    return {
        "predictions": [vocabulary[number] for number in predictions],
        "answers": [[vocabulary[number] for number in row] for row in answers],
        "per_item": values,
    }


def top_k(random: np.random.Generator) -> dict[str, Any]:
    scores = torch.tensor(random.normal(size=(20, 9)))
    labels = torch.tensor(random.integers(9, size=20))
    hits = {k: (scores.topk(k).indices == labels[:, None]).any(1) for k in (1, 5)}
    return {
        "scores": scores.tolist(),
        "labels": labels.tolist(),
        "top1": (100.0 * hits[1]).tolist(),
        "top5": (100.0 * hits[5]).tolist(),
    }


def recall(random: np.random.Generator) -> dict[str, Any]:
    similarity = torch.tensor(random.normal(size=(8, 24)))
    images = torch.arange(24) % 8  # Three texts an image.
    values = {}
    for k in (1, 5):
        of_image = similarity.topk(k, dim=1).indices
        values[f"image_to_text_{k}"] = [
            100.0 * bool((images[row] == number).any()) for number, row in enumerate(of_image)
        ]
        of_text = similarity.T.topk(k, dim=1).indices
        values[f"text_to_image_{k}"] = (100.0 * (of_text == images[:, None]).any(1)).tolist()
    return {"similarity": similarity.tolist(), "images": images.tolist(), **values}


def main(visdial: str, rareact: str, just_ask: str) -> None:
    random = np.random.default_rng(5)
    content = {
        "roc_auc": roc_auc(random),
        "ndcg": ndcg(random, load(visdial)),
        "mwap": mwap(random, rareact),
        "ivqa": ivqa(random, load(just_ask)),
        "top_k": top_k(random),
        "recall": recall(random),
    }
    lines = [f'"{name}": {json.dumps(values)}' for name, values in content.items()]
    (FOLDER / "rankings.json").write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
