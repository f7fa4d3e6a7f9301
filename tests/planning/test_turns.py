"""Datasets that take turns are planned for by the largest turn."""

from __future__ import annotations

import dataclasses

from configs.ablations import base, round_robin
from flamingo_jax.config import resolve
from flamingo_jax.planning.turns import largest_turn


def test_a_step_of_all_datasets_stays_as_it_is() -> None:
    config = resolve(base.get_config())
    assert largest_turn(config) is config


def test_the_largest_turn_is_that_of_the_longest_pages() -> None:
    config = resolve(round_robin.get_config())
    turn = largest_turn(config)
    assert [dataset.name for dataset in turn.data] == ["m3w"]
    assert turn == dataclasses.replace(config, data=config.data[:1], round_robin=False)
