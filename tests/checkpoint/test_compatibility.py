"""Going on from a checkpoint under a changed config."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from flamingo_jax.checkpoint.compatibility import check_config
from flamingo_jax.core.errors import UserError

CONFIG: dict[str, Any] = {
    "seed": 1,
    "steps": 100,
    "mesh": {"data": 1, "model": 1},
    "data": ({"name": "pages", "batch_size": 8}, {"name": "clips", "batch_size": 4}),
    "model": {"text_tower": None, "language_model": {"width": 64, "dropout": 0.1}},
    "checkpoint": {"every_steps": 10, "keep": 2},
    "evaluation": {"shots": [0, 4]},
    "log_every_steps": 5,
}


def _changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(CONFIG), **changes}


def test_equal_configs_pass_whether_tuples_or_lists() -> None:
    saved = _changed(data=[dict(entry) for entry in CONFIG["data"]])
    check_config(saved, CONFIG)


def test_cadence_length_mesh_and_evaluation_may_differ() -> None:
    current = _changed(
        steps=200,
        mesh={"data": 4, "model": 2},
        checkpoint={"every_steps": 1, "keep": 9},
        evaluation={"shots": [0, 4, 8]},
        log_every_steps=1,
    )
    check_config(CONFIG, current)


def test_the_first_differing_field_is_named_with_both_values() -> None:
    current = _changed(model={"text_tower": None, "language_model": {"width": 128, "dropout": 0.2}})
    with pytest.raises(UserError, match=r"'model\.language_model\.width' was 64 .* is 128 now"):
        check_config(CONFIG, current)


def test_a_field_of_the_second_dataset_is_named() -> None:
    current = _changed(
        data=[{"name": "pages", "batch_size": 8}, {"name": "clips", "batch_size": 5}]
    )
    with pytest.raises(UserError, match=r"'data\[1\]\.batch_size' was 4 .* is 5 now"):
        check_config(CONFIG, current)
    check_config(CONFIG, current, ignored=["data[1].batch_size"])


def test_fields_that_come_or_go_are_named() -> None:
    with pytest.raises(UserError, match=r"'data\[1\]\.name' was \"clips\" .* is absent now"):
        check_config(CONFIG, _changed(data=CONFIG["data"][:1]))
    with pytest.raises(UserError, match=r"'momentum' was absent .* is 0\.9 now"):
        check_config(CONFIG, _changed(momentum=0.9))
    with pytest.raises(UserError, match=r"'model\.text_tower"):
        tower = {"text_tower": {"width": 8}, "language_model": CONFIG["model"]["language_model"]}
        check_config(CONFIG, _changed(model=tower))


def test_an_ignored_prefix_ends_at_a_field_name() -> None:
    with pytest.raises(UserError, match="'steps_per_epoch'"):
        check_config(CONFIG, _changed(steps_per_epoch=3), ignored=["steps"])


def test_numbers_of_another_type_differ() -> None:
    with pytest.raises(UserError, match="'seed' was 1 .* is true now"):
        check_config(CONFIG, _changed(seed=True))
