"""`prepare obelics`: OBELICS with its pictures, out of its parquet files of URLs."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Mapping, Sequence

from flamingo_jax.core.files import prepare_folder
from flamingo_jax.data import files
from flamingo_jax.preparation.arguments import ArgumentParser, above_zero, at_least
from flamingo_jax.preparation.obelics import collect
from flamingo_jax.preparation.obelics.documents import Documents
from flamingo_jax.preparation.obelics.fetch import FetchOptions
from flamingo_jax.preparation.obelics.outcomes import Outcome

NOTHING_SAVED_EXIT_CODE = 1

_USER_AGENT = "flamingo_jax (prepares a research data set"
_EXAMPLE = """
--input='obelics/data/train-*.parquet' --output=data/obelics --contact=me@university.edu
--input=train-00000-of-01335.parquet --output=data/trial --limit=1000
"""


def main(arguments: Sequence[str]) -> int:
    """Runs the command.

    Args:
        arguments: those after the command's name.

    Returns:
        The exit code: 0, or 1 if no picture at all could be had.

    Raises:
        UserError: wrong arguments, files that are not OBELICS', a folder of other settings.
    """
    given = _parser().parse_args(arguments)
    documents = Documents(files.expand([given.input], "", "--input"))
    options = collect.CollectOptions(
        folder=prepare_folder(given.output),
        shard_size=given.shard_size,
        max_side=given.max_side,
        limit=given.limit,
        threads=given.threads,
        per_host=given.per_host,
        fetch=FetchOptions(
            timeout=given.timeout,
            retries=given.retries,
            max_bytes=given.max_bytes,
            allow_private=given.allow_private,
            user_agent=f"{_USER_AGENT}{f'; {given.contact}' if given.contact else ''})",
        ),
    )
    say = functools.partial(print, file=sys.stderr, flush=True)
    num_documents, outcomes = collect.collect(documents, options, say)
    print(table(num_documents, outcomes), end="")
    print(f'shards: source="pages/obelics", paths=("{options.folder}/*.tar",)')
    return 0 if outcomes.get(Outcome.SAVED) else NOTHING_SAVED_EXIT_CODE


def table(documents: Mapping[str, int], pictures: Mapping[str, int]) -> str:
    """The yields: a line for every outcome, the most frequent first."""
    lines = []
    for title, counts in (("documents", documents), ("pictures", pictures)):
        total = sum(counts.values())
        lines.append(f"{title:<24}{total:>13,}")
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        lines += [f"  {name:<22}{n:>13,}{n / total:>8.1%}" for name, n in ordered]
    return "".join(f"{line}\n" for line in lines)


def _contact(text: str) -> str:
    """An address in a header: nothing that could end the header."""
    if not text.isascii() or not text.isprintable():
        raise argparse.ArgumentTypeError(f"{text!r}: expected printable ASCII")
    return text


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "obelics",
        "Fetches the pictures of OBELICS and writes tar shards that source pages/obelics reads."
        " Killed at any moment, the same command goes on; finished shards are not fetched again.",
        _EXAMPLE,
    )
    add = parser.add_argument
    add("--input", required=True, metavar="PATTERN", help="parquet files, with * or {000..999}")
    add("--output", required=True, metavar="FOLDER", help="for shards and manifest.jsonl")
    add(
        "--max_side",
        type=at_least(1),
        default=320,
        metavar="PIXELS",
        help="longer side of the kept pictures at most, aspect ratio kept, nothing enlarged;"
        " the image_size of the vision encoder is enough (default: 320)",
    )
    add("--shard_size", type=at_least(1), default=1000, metavar="N",
        help="documents a shard (default: 1000)")  # fmt: skip
    add("--limit", type=at_least(1), default=0, metavar="N",
        help="the first N documents only (default: all)")  # fmt: skip
    add("--threads", type=at_least(1), default=32, metavar="N",
        help="pictures fetched at the same time (default: 32)")  # fmt: skip
    add("--per_host", type=at_least(1), default=4, metavar="N",
        help="of these, from the same host at most (default: 4)")  # fmt: skip
    add("--timeout", type=above_zero, default=10.0, metavar="SECONDS",
        help="for one attempt from first to last byte (default: 10)")  # fmt: skip
    add("--retries", type=at_least(0), default=2, metavar="N",
        help="further attempts after a failure that may pass (default: 2)")  # fmt: skip
    add("--max_bytes", type=at_least(1), default=20_000_000, metavar="N",
        help="largest file (default: 20000000)")  # fmt: skip
    add("--contact", type=_contact, default="", metavar="ADDRESS",
        help="mail or web address that servers' owners see with every request")  # fmt: skip
    add("--allow_private", action="store_true",
        help="fetches from this machine and private networks too: lists of strangers can then"
        " reach what only you should")  # fmt: skip
    return parser
