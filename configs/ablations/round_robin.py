"""Ablation: data sets take turns, one an update (arXiv 2204.14198, table 3 (ii)).

    python -m flamingo_jax.describe --config=configs/ablations/round_robin.py

Overall score 62.9; the baseline, which accumulates the gradients of all data sets for each update,
has 70.7. The paper's ablations make a million gradient computations each: here a million updates.
`describe` and `plan` take the largest of the turns.

All else is that of configs/ablations/base.py, which says what to expect and on what hardware.
"""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from configs.ablations import base


def get_config(row: str = "") -> ConfigDict:
    """The config of the row.

    Args:
      row: "" alone.

    Returns:
      All fields of `flamingo_jax.config.RunConfig`, open to overrides.

    Raises:
      ValueError: another row.
    """
    return base.row_config(row, {"": _take_turns})


def _take_turns(config: dict[str, Any]) -> None:
    config["round_robin"] = True
    config["steps"] *= len(config["data"])
