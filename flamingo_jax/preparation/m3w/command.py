"""`prepare m3w`: pages of a crawl to shards of pages with pictures, as the paper filters M3W."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.preparation.arguments import ArgumentParser
from flamingo_jax.preparation.m3w import beam_pipeline, local, warc, yields
from flamingo_jax.preparation.m3w import job as jobs
from flamingo_jax.preparation.m3w.config import load_config
from flamingo_jax.preparation.m3w.documents import is_warc, root_folder
from flamingo_jax.preparation.m3w.job import Job, MakeEmbedder

_LOCAL = "local"
_OVERRIDE = "--config."
_EXAMPLE = """
--input='crawl/*.warc.gz' --output=data/m3w
--input='saved/**/*.html' --output=data/m3w --config.min_image_side=32
--input='gs://bucket/*.warc.gz' --output=gs://bucket/m3w --runner=DataflowRunner --region=us-east1
"""


def main(arguments: Sequence[str], make_embedder: MakeEmbedder | None = None) -> int:
    """Runs the command.

    Args:
        arguments: those after the command's name.
        make_embedder: loads what `--embedder` names; a function that Beam can pickle, so one of a
            module's own. None: only the built-in embedder is there.

    Returns:
        The exit code, 0.

    Raises:
        UserError: wrong arguments, missing files or packages, an output of another run.
    """
    given, others = _parser().parse_known_args(list(arguments))
    overrides = [argument for argument in others if argument.startswith(_OVERRIDE)]
    options = [argument for argument in others if not argument.startswith(_OVERRIDE)]
    if given.runner == _LOCAL and options:
        raise UserError(
            f"m3w: there is no argument {options[0]!r}; options of Beam need --runner, such as"
            " --runner=DirectRunner"
        )
    if given.embedder and not given.evaluation_images:
        raise UserError("--embedder compares with --evaluation_images: give these as well")
    if given.embedder and make_embedder is None:
        raise UserError("--embedder: no trained embedder can be loaded by this program")
    job = _job(given, overrides, make_embedder)
    if given.runner != _LOCAL:
        beam_pipeline.check_can_run()
    jobs.prepare_output(job.output)
    if given.evaluation_images:
        paths = _evaluation_paths(given.evaluation_images)
        job = jobs.write_evaluation(job, paths)

    if given.runner == _LOCAL:
        local.run(job)
    else:
        beam_pipeline.run(job, [f"--runner={given.runner}", *options])
    _report(job)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = ArgumentParser(
        "m3w", "Makes shards of web pages with pictures out of HTML or WARC files.", _EXAMPLE
    )
    parser.add_argument(
        "--input", required=True, metavar="PATTERN", help="HTML files, or .warc and .warc.gz files"
    )
    parser.add_argument("--output", required=True, metavar="FOLDER", help="new folder")
    parser.add_argument(
        "--images",
        default="",
        metavar="FOLDER",
        help="where the pictures lie; without it: for WARC files in them, for HTML files below the"
        " folder of the input",
    )
    parser.add_argument(
        "--config", default="", metavar="FILE.py", help="thresholds; --config.FIELD=VALUE sets one"
    )
    parser.add_argument(
        "--evaluation_images",
        default="",
        metavar="PATTERN",
        help="folder or files; pictures like these are dropped",
    )
    parser.add_argument(
        "--embedder",
        default="",
        metavar="RUN_FOLDER",
        help="trained contrastive model to compare pictures with; without it: their thumbnails",
    )
    parser.add_argument(
        "--runner",
        default=_LOCAL,
        help=f"{_LOCAL} (this process, without Beam), DirectRunner, DataflowRunner, FlinkRunner,"
        " SparkRunner, ...; other arguments are given to Beam",
    )
    return parser


def _job(
    given: argparse.Namespace, overrides: Sequence[str], make_embedder: MakeEmbedder | None
) -> Job:
    """The job that the arguments describe; nothing is written yet."""
    config = load_config(given.config, overrides)
    paths = files.expand([given.input], "", "--input")
    root = root_folder(given.input)
    images = given.images
    if is_warc(paths[0]):
        warc.check_can_read()
    elif not images:
        images = root
    if images and not files.is_folder(images):
        raise UserError(f"--images is {images!r}: there is no such folder")
    return Job(
        paths=tuple(map(_absolute, paths)),
        root=_absolute(root),
        images=_absolute(images) if images else "",
        output=_absolute(given.output),
        config=config,
        embedder=given.embedder,
        make_embedder=make_embedder,
    )


def _absolute(path: str) -> str:
    """The same file for workers that were started in another folder."""
    return path if "://" in path else os.path.abspath(os.path.expanduser(path))


def _evaluation_paths(pattern: str) -> tuple[str, ...]:
    if files.is_folder(pattern):
        pattern = files.join(pattern, "**/*.*")
    found = files.expand([pattern], "", "--evaluation_images")
    return tuple(path for path in found if not files.is_folder(path))


def _report(job: Job) -> None:
    """Prints the tables of `yield.md`, and how a config reads the shards."""
    print(files.read_bytes(files.join(job.output, yields.MARKDOWN_NAME)).decode())
    found = json.loads(files.read_bytes(files.join(job.output, yields.JSON_NAME)))
    if not found[yields.PAGES][yields.OUT]:
        print("no page is left: the table says which rule dropped them")
        return
    last = f"{job.config.num_shards - 1:05d}"
    print(f'shards: source="pages/obelics", paths=("{job.output}/m3w-{{00000..{last}}}.tar",)')
