"""The builders refuse a config without the parts that they need."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from flamingo_jax.config import ModelConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.models import build
from tests.models import tiny


@pytest.mark.parametrize(
    ("builder", "field"),
    [
        (build.build_flamingo, "vision_encoder"),
        (build.build_flamingo, "language_model"),
        (build.build_flamingo, "resampler"),
        (build.build_flamingo, "cross_attention"),
        (build.build_language_model, "language_model"),
        (build.build_two_tower, "vision_encoder"),
        (build.build_two_tower, "text_tower"),
    ],
)
def test_a_missing_part_is_named(builder: Callable[[ModelConfig], Any], field: str) -> None:
    config = dataclasses.replace(tiny.model_config(), **{field: None})
    with pytest.raises(UserError, match=rf"config\.model\.{field} is not set: the .* needs it"):
        builder(config)
