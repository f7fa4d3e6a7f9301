"""Ablations: what the frozen language model was trained on (arXiv 2204.14198, table 10 (iv)).

    python -m flamingo_jax.describe --config=configs/ablations/language_model.py:c4

Row and overall score (baseline, MassiveText: 70.7): `c4` 62.8, the language model trained on C4.
Only the folder that it is taken from differs; a run of configs/language_model.py on C4 makes it:
"--config.data[0].paths=('c4/*.jsonl',)" --workdir=runs/c4.

All else is that of configs/ablations/base.py, which says what to expect and on what hardware.
"""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from configs.ablations import base


def get_config(row: str = "") -> ConfigDict:
    """The config of one row.

    Args:
      row: "c4".

    Returns:
      All fields of `flamingo_jax.config.RunConfig`, open to overrides.

    Raises:
      ValueError: no such row.
    """
    return base.row_config(
        row,
        {
            "c4": _c4,
        },
    )


def _c4(config: dict[str, Any]) -> None:
    config["frozen"]["language_model"] = "runs/c4/language_model"
