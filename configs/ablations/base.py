"""The model of the paper's ablations: Flamingo-3B on the short schedule (section 3.3).

    python -m flamingo_jax.describe --config=configs/ablations/base.py

The baseline of table 3 of arXiv 2204.14198 (and of table 10): batches of 256 pages, 512 and 512
pairs and 64 clips, 250,000 updates of four gradients each; overall score 70.7 over five tasks with
four shots, 1.74 s a step. Every other file of this folder is one group of rows of those tables, and
changes this config in one thing.

The paper does not say how many chips it took (but some rows took four times as many). Here 64 TPU
v4 chips share each batch. What else it does not say: see configs/flamingo_3b.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ml_collections import ConfigDict

from configs import full_size

Change = Callable[[dict[str, Any]], None]


def get_config(row: str = "") -> ConfigDict:
    """The baseline's config; it has no rows.

    Raises:
      ValueError: `row` is not empty.
    """
    return row_config(row, {"": _leave})


def _leave(config: dict[str, Any]) -> None:
    """The baseline's change: none."""
    del config


def row_config(row: str, changes: Mapping[str, Change]) -> ConfigDict:
    """The config of one row: the baseline after one change.

    Args:
      row: as given behind the config file's colon.
      changes: by row, a function that changes the baseline's dict.

    Returns:
      All fields of `flamingo_jax.config.RunConfig`, open to overrides.

    Raises:
      ValueError: no such row; lists those that there are.
    """
    if row not in changes:
        expected = ", ".join(name for name in changes if name) or "no row"
        raise ValueError(f"row {row!r} does not exist: expected {expected}")
    config = full_size.flamingo(
        "1.4B",
        every=1,
        mesh={"data": 64},
        batch_sizes=full_size.SHORT_SCHEDULE_BATCHES,
        microbatches={"m3w": 4, "align": 4, "ltip": 4, "vtp": 1},
    )
    config["steps"] = full_size.SHORT_SCHEDULE_STEPS
    changes[row](config)
    return ConfigDict(config)


def keep_datasets(config: dict[str, Any], *names: str) -> None:
    """Leaves only the datasets of these names."""
    config["data"] = [dataset for dataset in config["data"] if dataset["name"] in names]


def pairs_from_laion(config: dict[str, Any]) -> None:
    """Puts LAION-400M in place of ALIGN and LTIP.

    The paper says no more, but its step took as long as the baseline's (1.74 s), hence had as many
    pairs: both batches read LAION here, each with a seed of its own.
    """
    for number, dataset in enumerate(config["data"]):
        if dataset["name"] in ("align", "ltip"):
            laion = full_size.dataset("laion_400m")
            new = {"name": f"laion_{dataset['name']}"} | {
                field: laion[field] for field in ("source", "paths")
            }
            config["data"][number] = dataset | new


def take_clip(config: dict[str, Any]) -> None:
    """Puts CLIP ViT-L/14 at 224 pixels in place of the NFNet-F6."""
    config["vision_encoder"] |= {"variant": "clip_vit_l14", "image_size": 224}
