"""Files of predictions: what they are of, and what becomes of them when a run is killed."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation import predictions
from flamingo_jax.evaluation.predictions import Origin, Prediction, PredictionFile, read_predictions

ORIGIN = Origin(
    task="coco", split="test", shots=4, selection="random", images="real", seed=1,
    config_hash="abc", checkpoint="flamingo/1/def", num_queries=5, protocol={"template": "Output:"},
)  # fmt: skip


def prediction(number: int, **fields: Any) -> Prediction:
    given: dict[str, Any] = {
        "query": f"q{number}", "index": number, "medium": f"{number}.jpg", "support": ("a", "b"),
        "prompt": "<image>Output:", "output": "a dog\nÜ", "answer": "a dog Ü", "score": -1 / 3,
        "references": ("a dog",), "details": {"relevance": [0.5, 1.0]}, "orders": ((0, 1), (1, 0)),
    }  # fmt: skip
    return Prediction(**(given | fields))


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    written = [prediction(2), prediction(0, scores=(-0.1, -1e-30), score=-0.1)]
    file = PredictionFile(tmp_path / "predictions", ORIGIN)
    file.append(written)
    assert file.path == tmp_path / "predictions" / "coco-4-1.jsonl"
    assert list(read_predictions(file.path)) == written
    assert PredictionFile(tmp_path / "predictions", ORIGIN).answered == {"q2", "q0"}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "coco-4-1"),
        ({"selection": "rices"}, "coco-4-1-rices"),
        ({"selection": "none", "shots": 0, "images": "zeroed"}, "coco-0-1-zeroed"),
        ({"selection": "rices", "images": "swapped"}, "coco-4-1-rices-swapped"),
    ],
)
def test_names_tell_ways_of_asking_apart(changes: dict[str, Any], name: str) -> None:
    assert dataclasses.replace(ORIGIN, **changes).name == name


def test_half_a_line_is_cut_off(tmp_path: Path) -> None:
    PredictionFile(tmp_path, ORIGIN).append([prediction(0), prediction(1)])
    path = tmp_path / "coco-4-1.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    assert [line.query for line in read_predictions(path)] == ["q0"]
    file = PredictionFile(tmp_path, ORIGIN)
    assert file.answered == {"q0"}
    file.append([prediction(0), prediction(1)])  # q0 is not written again
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("checkpoint", "flamingo/2/xyz", "of checkpoint 'flamingo/1/def', not 'flamingo/2/xyz'"),
        ("config_hash", "other", "of config_hash 'abc', not 'other'"),
        ("split", "validation", "of split 'test', not 'validation'"),
        ("protocol", {"template": "X"}, "of protocol {'template': 'Output:'}, not"),
    ],
)
def test_predictions_of_something_else_are_refused(
    tmp_path: Path, field: str, value: Any, said: str
) -> None:
    PredictionFile(tmp_path, ORIGIN).append([prediction(0)])
    with pytest.raises(UserError, match="coco-4-1.jsonl has predictions") as raised:
        PredictionFile(tmp_path, dataclasses.replace(ORIGIN, **{field: value}))
    assert said in str(raised.value)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    file = PredictionFile(tmp_path, ORIGIN)
    file.append([prediction(0)])
    line = file.path.read_bytes()
    file.path.write_bytes(line + line)
    with pytest.raises(UserError, match="line 2: query 'q0' has two lines"):
        list(read_predictions(file.path))
    file.path.write_bytes(b'{"query": 1}\n')
    with pytest.raises(UserError, match="line 1 is no prediction"):
        list(read_predictions(file.path))
    (tmp_path / "coco-4-1.json").unlink()
    with pytest.raises(UserError, match="has no coco-4-1.json beside it"):
        PredictionFile(tmp_path, ORIGIN)
    (tmp_path / "coco-4-1.json").write_text(json.dumps({"task": "coco"}))
    with pytest.raises(UserError, match="does not say what the predictions are of"):
        PredictionFile(tmp_path, ORIGIN)


def test_numbers_that_are_none_are_no_predictions(tmp_path: Path) -> None:
    file = PredictionFile(tmp_path, ORIGIN)
    with pytest.raises(UserError, match="for query 'q3' are not finite"):
        file.append([prediction(3, score=math.nan)])
    assert file.path.read_bytes() == b""


def test_headers_lead_to_their_predictions(tmp_path: Path) -> None:
    file = PredictionFile(tmp_path, ORIGIN)
    (tmp_path / "notes.json").write_text("{}")
    (header,) = predictions.headers(tmp_path)
    assert predictions.lines_of(header) == file.path
    assert predictions.read_origin(header) == ORIGIN
