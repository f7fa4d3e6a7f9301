"""Ablations: which data sets are trained on (arXiv 2204.14198, table 3 (i); v1, table 7 (i)).

    python -m flamingo_jax.describe --config=configs/ablations/data.py:m3w_only

Rows and the overall score of v2 (baseline 70.7):
  `without_vtp` 67.3; `without_pairs` 60.9 (neither ALIGN nor LTIP); `laion` 66.4 (LAION-400M in
  place of both); `without_m3w` 53.4; `m3w_only` 50.7 (v1's score over seven tasks, baseline 68.4).
LAION-400M is read from shards as img2dataset writes them, in the folder laion_400m.

All else is that of configs/ablations/base.py, which says what to expect and on what hardware.
"""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from configs.ablations import base


def get_config(row: str = "") -> ConfigDict:
    """The config of one row.

    Args:
      row: "m3w_only", "without_vtp", "without_pairs", "laion" or "without_m3w".

    Returns:
      All fields of `flamingo_jax.config.RunConfig`, open to overrides.

    Raises:
      ValueError: no such row.
    """
    return base.row_config(
        row,
        {
            "m3w_only": _m3w_only,
            "without_vtp": _without_vtp,
            "without_pairs": _without_pairs,
            "laion": _laion,
            "without_m3w": _without_m3w,
        },
    )


def _m3w_only(config: dict[str, Any]) -> None:
    base.keep_datasets(config, "m3w")


def _without_vtp(config: dict[str, Any]) -> None:
    base.keep_datasets(config, "m3w", "align", "ltip")


def _without_pairs(config: dict[str, Any]) -> None:
    base.keep_datasets(config, "m3w", "vtp")


def _laion(config: dict[str, Any]) -> None:
    base.pairs_from_laion(config)


def _without_m3w(config: dict[str, Any]) -> None:
    base.keep_datasets(config, "align", "ltip", "vtp")
