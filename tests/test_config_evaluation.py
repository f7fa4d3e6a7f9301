"""The config of an evaluation on benchmarks: from files and flags, checked, hashed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from configs.evaluation import paper
from flamingo_jax.config import MeshConfig
from flamingo_jax.config_evaluation import (
    BenchmarkEvaluationConfig,
    evaluation_hash,
    resolve_evaluation,
)
from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmark_task import TASKS, shots_to_ask
from flamingo_jax.evaluation.benchmarks.catalog import BENCHMARKS


def resolved(**changes: Any) -> BenchmarkEvaluationConfig:
    config = paper.get_config()
    config.update(changes)
    return resolve_evaluation(config)


def test_the_paper_s_file_asks_all_benchmarks() -> None:
    config = resolved()
    assert config.tasks == tuple(BENCHMARKS)
    assert (config.shots, config.selections) == ((0, 4, 32), ("random",))
    assert config.shown == ("real", "zeroed", "swapped")
    # Every field can be overridden on the command line.
    fields = {field.name for field in dataclasses.fields(BenchmarkEvaluationConfig)}
    assert set(paper.get_config()) == fields


def test_lists_are_texts_with_commas() -> None:
    config = resolved(tasks="coco, vqav2", selections="rices,random", controls="")
    assert config.tasks == ("coco", "vqav2")
    assert config.selections == ("rices", "random")
    assert config.shown == ("real",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": ""}, "config.tasks is empty: expected at least one"),
        ({"tasks": "coco,coco"}, r"config.tasks is \('coco', 'coco'\): expected each once"),
        ({"shots": (-1,)}, "config.shots"),
        (
            {"selections": "nearest"},
            "config.selections is 'nearest': expected one of random, rices",
        ),
        ({"controls": "real"}, "config.controls is 'real': expected one of zeroed, swapped"),
        ({"num_queries": 1}, "config.num_queries is 1: expected 0"),
        ({"seeds": 0}, "config.seeds is 0: expected at least 1"),
        ({"batch_size": 0}, "config.batch_size is 0"),
        ({"max_prompt_length": -1}, "config.max_prompt_length is -1: expected at least 0"),
    ],
)
def test_what_cannot_be_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        resolved(**changes)


@pytest.mark.parametrize(
    ("field", "value", "changes_answers"),
    [
        ("tasks", ("coco",), False),
        ("num_queries", 100, False),
        ("max_prompt_length", 4096, False),
        ("seeds", 3, False),
        ("data_dir", "elsewhere", False),
        ("batch_size", 64, False),
        ("mesh", MeshConfig(data=8), False),
        ("rescore", True, False),
        ("split", "validation", True),
        ("num_support", 100, True),
        ("beam_width", 1, True),
        ("length_penalty", 1.0, True),
        ("max_decode_length", 5, True),
        ("ensemble", 6, True),
        ("mean_log_likelihood", True, True),
        ("num_frames", 8, True),
    ],
)
def test_the_hash_names_what_answers_depend_on(
    field: str, value: object, changes_answers: bool
) -> None:
    config = resolved()
    changed = dataclasses.replace(config, **{field: value})  # type: ignore[arg-type]
    assert (evaluation_hash(changed) != evaluation_hash(config)) == changes_answers


def test_benchmarks_that_take_fewer_shots_say_so() -> None:
    assert shots_to_ask("coco", (0, 4, 32)) == ((0, 4, 32), "")
    asked, note = shots_to_ask("rareact", (4, 32))
    assert asked == (0,)
    assert note.startswith("rareact: 0 shots instead of 4, 32: it has no training set")
    with pytest.raises(UserError, match="there is no task 'vqa'; there are coco, "):
        shots_to_ask("vqa", (0,))


def test_clips_have_30_frames_at_3_a_second() -> None:
    clips = {name for name, task in TASKS.items() if task.num_frames > 1}
    assert clips == {
        "kinetics700", "vatex", "msvdqa", "msrvttqa", "youcook2", "ivqa", "rareact", "nextqa",
        "star",
    }  # fmt: skip
    assert {(TASKS[name].num_frames, TASKS[name].frames_per_second) for name in clips} == {
        (30, 3.0)
    }
