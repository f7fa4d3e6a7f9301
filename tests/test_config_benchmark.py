"""The fields of a benchmark: checked, filled in from the run, kept by JSON."""

from __future__ import annotations

from typing import Any

import pytest

from configs import quickstart
from flamingo_jax.config import from_json, resolve, to_json
from flamingo_jax.core.errors import UserError

FIELDS = {"name": "walls", "annotations": "captions.json", "images": "pictures"}


def _run(folder: str = "", **changes: Any) -> Any:
    fields = quickstart.get_config("flamingo").to_dict()
    fields["data_dir"] = folder
    fields["evaluation"]["benchmarks"] = [FIELDS | changes]
    return resolve(fields)


def test_a_benchmark_lies_in_the_folder_of_the_run_unless_it_has_its_own() -> None:
    assert _run("/data").evaluation.benchmarks[0].data_dir == "/data"
    assert _run("/data", data_dir="/other").evaluation.benchmarks[0].data_dir == "/other"


def test_the_defaults_are_the_paper_s_wording() -> None:
    (benchmark,) = _run().evaluation.benchmarks
    assert (benchmark.lead, benchmark.text_examples) == ("Output:", 2)


def test_json_keeps_benchmarks() -> None:
    config = _run("/data", lead="", text_examples=0)
    assert from_json(to_json(config)) == config


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source": "coco_caption"}, "'coco_caption': expected one of coco_captions"),
        ({"name": ""}, "benchmarks.name is ''"),
        ({"annotations": ""}, r"benchmarks\[walls\].annotations is '': expected a path"),
        ({"images": ""}, r"benchmarks\[walls\].images is '': expected a path"),
        ({"text_examples": -1}, r"text_examples is -1: expected at least 0"),
        ({"support_annotation": "x"}, "did you mean .*support_annotations?"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        _run(**changes)
