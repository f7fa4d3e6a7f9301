"""Answers in the form that a benchmark's server takes, where what is right is not given out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flamingo_jax.core.files import write_atomic
from flamingo_jax.evaluation.predictions import Prediction

_SUFFIX = "-submission.json"


def _vqav2(prediction: Prediction) -> dict[str, Any]:
    return {"question_id": int(prediction.query), "answer": prediction.answer}


def _vizwiz(prediction: Prediction) -> dict[str, Any]:
    return {"image": prediction.medium.rpartition("/")[2], "answer": prediction.answer}


FORMS: Mapping[str, Callable[[Prediction], dict[str, Any]]] = {"vqav2": _vqav2, "vizwiz": _vizwiz}
"""The object that stands for an answer in the list that is sent in, by benchmark."""


def write_submission(task: str, given: Sequence[Prediction], lines: Path) -> Path | None:
    """Writes the file that is sent in, beside the predictions.

    Args:
      task: the benchmark.
      given: all its predictions.
      lines: their file.

    Returns:
      The file; None for a benchmark whose server takes another form.
    """
    if task not in FORMS:
        return None
    path = lines.with_name(lines.stem + _SUFFIX)
    write_atomic(path, json.dumps([FORMS[task](prediction) for prediction in given]) + "\n")
    return path
