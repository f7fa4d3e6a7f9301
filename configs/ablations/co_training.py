"""Ablations: text alone beside the pictures, to train the language model too (arXiv 2204.14198,
table 10 (vi)).

    python -m flamingo_jax.describe --config=configs/ablations/co_training.py:pretrained

Rows and overall score (baseline, frozen: 70.7): `random` 55.9, the language model from scratch;
`pretrained` 68.6, at a tenth of the learning rate of all other layers. Both have 3.2B parameters.
MassiveText comes in rows of 2,048 tokens with lambda 1, which the paper found by a search.

The paper does not say how many rows a step takes. Here 128, the batch that the 1.4B model learns
from alone (configs/language_model.py). It took four times as many chips as the baseline.

All else is that of configs/ablations/base.py, which says what to expect and on what hardware.
"""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from configs import full_size
from configs.ablations import base


def get_config(row: str = "") -> ConfigDict:
    """The config of one row.

    Args:
      row: "random" or "pretrained".

    Returns:
      All fields of `flamingo_jax.config.RunConfig`, open to overrides.

    Raises:
      ValueError: no such row.
    """
    return base.row_config(
        row,
        {
            "random": _random,
            "pretrained": _pretrained,
        },
    )


def _random(config: dict[str, Any]) -> None:
    config["unfrozen"]["language_model"] = "random"
    config["data"].append(
        full_size.dataset(
            "massive_text",
            batch_size=128,
            microbatches=2,
            loss_weight=1.0,
            max_text_length=2048,
            max_images=0,
            seed=5,
        )
    )


def _pretrained(config: dict[str, Any]) -> None:
    _random(config)
    config["unfrozen"]["language_model"] = "pretrained"
    config["optimizer"]["rate_scales"] = [
        {"paths": (r"(.*/)?language_model/.*",), "scale": 0.1},
    ]
