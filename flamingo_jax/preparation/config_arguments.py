"""What the commands that look at datasets share: which config, and which of its datasets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flamingo_jax.config import DatasetConfig, RunConfig
from flamingo_jax.preparation.arguments import ArgumentParser
from flamingo_jax.preparation.named import check_name

LoadConfig = Callable[[str, Sequence[str]], RunConfig]
"""(what --config names, overrides) -> the resolved config; raises `UserError`."""


def add_config_arguments(parser: ArgumentParser, *, is_required: bool) -> None:
    """Adds --config and --dataset; overrides are left over by `parse_known_args`."""
    parser.add_argument(
        "--config",
        required=is_required,
        metavar="FILE.py[:STAGE]",
        help="a config; its fields can be overridden: --config.data[0].seed=3",
    )
    parser.add_argument("--dataset", metavar="NAME", help="only this one of its datasets")


def chosen(config: RunConfig, name: str | None) -> tuple[DatasetConfig, ...]:
    """The dataset of a name, or all of a config.

    Raises:
        UserError: the config has no such dataset.
    """
    if name is None:
        return config.data
    check_name(f"--dataset={name}", name, (dataset.name for dataset in config.data))
    return tuple(dataset for dataset in config.data if dataset.name == name)
