"""Datasets that take turns: the step to describe and to plan is the largest one."""

from __future__ import annotations

import dataclasses

from flamingo_jax.config import RunConfig
from flamingo_jax.planning.flops import SplitFlops, step_flops


def largest_turn(config: RunConfig) -> RunConfig:
    """A config whose every step is the one of most FLOPs among the steps of the given config.

    Args:
      config: of a run whose datasets may take turns (`round_robin`).

    Returns:
      The config itself if every step visits all datasets; else one of a single dataset.
    """
    if not config.round_robin:
        return config
    turns = [
        dataclasses.replace(config, data=(dataset,), round_robin=False) for dataset in config.data
    ]
    return max(turns, key=lambda turn: _total(step_flops(turn).per_step))


def _total(flops: SplitFlops) -> int:
    return flops.frozen_forward + flops.frozen_backward + flops.trained
