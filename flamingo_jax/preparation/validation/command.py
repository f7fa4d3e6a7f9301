"""`prepare validate`: what of a dataset can be used."""

from __future__ import annotations

import argparse
import functools
import signal
import sys
from collections.abc import Sequence
from typing import Any

from flamingo_jax.config import DatasetConfig, SourceOptions
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import vocabulary as vocabularies
from flamingo_jax.data.sources import catalog
from flamingo_jax.data.sources.source import Source
from flamingo_jax.preparation.arguments import ArgumentParser, at_least, share
from flamingo_jax.preparation.config_arguments import LoadConfig, add_config_arguments, chosen
from flamingo_jax.preparation.named import check_name
from flamingo_jax.preparation.validation import report
from flamingo_jax.preparation.validation.validate import validate

UNUSABLE_EXIT_CODE = 1

_ALL = "all"
_OPTIONS = ("images", "image_field", "text_field")
_FIELDS = ("num_frames", "max_bad_share")
_EXAMPLE = """
--config=configs/quickstart.py:flamingo --dataset=pages --samples=200
--source=pairs/webdataset --paths='laion/{00000..00099}.tar' --json
--source=pages/json_lines --paths=pages.jsonl --images=pictures --samples=all
"""


def main(arguments: Sequence[str], load_config: LoadConfig) -> int:
    """Runs the command.

    Args:
        arguments: those after the command's name.
        load_config: reads a config.

    Returns:
        The exit code: 0, or 1 if a dataset has nothing to use or too many bad samples.

    Raises:
        UserError: wrong arguments, or a dataset that cannot be opened.
    """
    given, rest = _parser().parse_known_args(arguments)
    if (given.config is None) == (given.source is None):
        raise UserError("validate: give --config or --source, one of them; see --help")
    if given.config is not None:
        opened, vocabulary = _of_config(given, rest, load_config)
    else:
        opened, vocabulary = _of_source(given, rest), given.vocabulary
    pieces = vocabularies.load(vocabulary) if vocabulary else None
    # `| head` closes the pipe before the last line; that is no error.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    say = functools.partial(print, file=sys.stderr, flush=True)
    found = [validate(dataset, source, given.samples, pieces, say) for dataset, source in opened]
    print(report.to_json(found) if given.json else report.to_text(found), end="")
    return 0 if all(item.is_ok for item in found) else UNUSABLE_EXIT_CODE


def _of_config(
    given: argparse.Namespace, overrides: Sequence[str], load_config: LoadConfig
) -> tuple[list[tuple[DatasetConfig, Source]], str]:
    """The datasets of a config, all opened before the first is looked at, and its vocabulary."""
    for name in ("paths", *_OPTIONS, *_FIELDS, "vocabulary"):
        if getattr(given, name) is not None:
            raise UserError(
                f"validate: --{name} goes with --source; beside --config, override the config's"
                " own field"
            )
    config = load_config(given.config, overrides)
    datasets = chosen(config, given.dataset)
    opened = [(dataset, catalog.open_source(dataset, config.stage)) for dataset in datasets]
    return opened, config.vocabulary


def _of_source(
    given: argparse.Namespace, rest: Sequence[str]
) -> list[tuple[DatasetConfig, Source]]:
    """The dataset that flags describe; the other fields are those of a config that is silent."""
    if rest:
        raise UserError(f"validate: unexpected argument {rest[0]!r}; see --help")
    if given.dataset is not None:
        raise UserError("validate: --dataset goes with --config, which may have several")
    check_name(f"--source={given.source}", given.source, catalog.SOURCES)

    def told(*names: str) -> dict[str, Any]:
        return {name: getattr(given, name) for name in names if getattr(given, name) is not None}

    dataset = DatasetConfig(
        name=given.source,
        source=given.source,
        paths=tuple(given.paths or ()),
        options=SourceOptions(**told(*_OPTIONS)),
        **told(*_FIELDS),
        # What follows decides nothing about whether a sample can be read.
        batch_size=1,
        loss_weight=1.0,
        max_text_length=1,
        max_images=9,
        image_size=224,
    )
    return [(dataset, catalog.SOURCES[dataset.source](dataset))]


def _samples(text: str) -> int | None:
    return None if text == _ALL else at_least(1)(text)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "validate",
        "Reads samples of datasets, decodes all of their pictures, and says what can be used.",
        _EXAMPLE,
    )
    add = parser.add_argument
    add_config_arguments(parser, is_required=False)
    add("--samples", type=_samples, default=1000, metavar=f"N|{_ALL}",
        help="samples of each dataset, spread evenly (default: 1000)")  # fmt: skip
    add("--json", action="store_true", help="prints one JSON object")
    add("--source", metavar="NAME", help="without a config: the source, as pairs/webdataset")
    add("--paths", action="append", metavar="PATTERN", help="its files; can be given repeatedly")
    add("--images", metavar="PLACE", help="folder or tar shards of the pictures that records name")
    add("--image_field", metavar="NAME", help="field of a record that names its picture")
    add("--text_field", metavar="NAME", help="field of a record that holds its text")
    add("--num_frames", type=at_least(1), metavar="N", help="frames to take from a clip")
    add("--vocabulary", metavar="NAME", help="counts tokens: a packaged vocabulary or a model file")
    add("--max_bad_share", type=share, metavar="SHARE", help="more bad ones are too many")
    return parser
