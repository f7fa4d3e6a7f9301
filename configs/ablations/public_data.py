"""Ablations: published data and vision encoder (arXiv 2204.14198, table 10 (vii)).

    python -m flamingo_jax.describe --config=configs/ablations/public_data.py:laion_only

Rows and overall score (baseline 3.2B, 70.7): `laion_only` 54.7, LAION-400M as the only data set;
`m3w_laion_vtp` 64.9, LAION-400M in place of ALIGN and LTIP. Both see through CLIP ViT-L/14 at 224
pixels: 3.1B parameters. CLIP's published weights cannot be loaded yet.

All else is that of configs/ablations/base.py, which says what to expect and on what hardware.
"""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from configs.ablations import base


def get_config(row: str = "") -> ConfigDict:
    """The config of one row.

    Args:
      row: "laion_only" or "m3w_laion_vtp".

    Returns:
      All fields of `flamingo_jax.config.RunConfig`, open to overrides.

    Raises:
      ValueError: no such row.
    """
    return base.row_config(
        row,
        {
            "laion_only": _laion_only,
            "m3w_laion_vtp": _m3w_laion_vtp,
        },
    )


def _laion_only(config: dict[str, Any]) -> None:
    base.pairs_from_laion(config)
    base.keep_datasets(config, "laion_align", "laion_ltip")
    base.take_clip(config)


def _m3w_laion_vtp(config: dict[str, Any]) -> None:
    base.pairs_from_laion(config)
    base.take_clip(config)
