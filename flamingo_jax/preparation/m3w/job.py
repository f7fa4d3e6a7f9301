"""What a run reads, writes and looks up, the same with and without Beam."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.data.image_store import ImageStore, folder_store
from flamingo_jax.preparation.m3w import near_duplicates, pages, shards, warc, yields
from flamingo_jax.preparation.m3w.config import M3WConfig
from flamingo_jax.preparation.m3w.documents import (
    PageDocument,
    PictureDocument,
    Unreadable,
    check_kind,
    find_picture,
    is_warc,
    read_html_file,
)
from flamingo_jax.preparation.m3w.near_duplicates import Embedder, EvaluationPictures

EMBEDDINGS_NAME = "evaluation_embeddings.npy"


class MakeEmbedder(Protocol):
    """Loads an embedder by its name, in whatever process needs one; Beam pickles it."""

    def __call__(self, name: str) -> Embedder:
        """The embedder; `name` is what the command line gave, such as a run folder."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One run of the pipeline.

    Attributes:
        paths: HTML files, or WARC files.
        root: folder that addresses of HTML files count from.
        images: folder of the pictures; empty: they are in the WARC files.
        output: folder that is written.
        config: the thresholds.
        embedder: name of the embedder; empty: the built-in one.
        make_embedder: loads it.
        has_evaluation: whether `EMBEDDINGS_NAME` lies in the output.
    """

    paths: tuple[str, ...]
    root: str
    images: str
    output: str
    config: M3WConfig
    embedder: str = ""
    make_embedder: MakeEmbedder | None = None
    has_evaluation: bool = False

    def __post_init__(self) -> None:
        check_kind(self.paths)
        if not self.images and not is_warc(self.paths[0]):
            raise UserError("--images is empty: HTML files need the folder of their pictures")

    @property
    def from_archives(self) -> bool:
        """Whether the pictures are in the WARC files."""
        return not self.images


def prepare_output(output: str) -> None:
    """Makes the output folder.

    Raises:
        UserError: it has shards of another run, which a pattern of the reader would find as well.
    """
    if "://" not in output:
        from flamingo_jax.core.files import prepare_folder

        prepare_folder(output)
    try:
        found = files.expand([shards.SHARD_PATTERN], output, "--output")
    except UserError:  # Nothing matches.
        return
    raise UserError(f"--output has {found[0]!r} of another run: give a new folder, or delete them")


def read_documents(path: str, job: Job) -> Iterator[PageDocument | PictureDocument | Unreadable]:
    """What one file of the input holds."""
    if is_warc(path):
        yield from warc.read_warc(path, job.config)
    else:
        yield read_html_file(path, job.root, job.config)


def folder_picture(url: str, images: str) -> bytes | None:
    """A picture of the folder of pictures; see `documents.find_picture`."""
    return find_picture(url, _store(images).read)


@functools.lru_cache(maxsize=2)
def _store(images: str) -> ImageStore:
    return folder_store(images)


def write_evaluation(job: Job, paths: Sequence[str]) -> Job:
    """Embeds the evaluation pictures once, for all workers, and says so in the job.

    Raises:
        UserError: one of them cannot be decoded.
    """
    embeddings_NE = near_duplicates.embed_evaluation_pictures(paths, _embedder(job))
    file = io.BytesIO()
    np.save(file, embeddings_NE, allow_pickle=False)
    files.write_whole(files.join(job.output, EMBEDDINGS_NAME), file.getvalue())
    return dataclasses.replace(job, has_evaluation=True)


@functools.lru_cache(maxsize=1)
def evaluation_pictures(job: Job) -> EvaluationPictures | None:
    """The evaluation pictures, loaded once a process; None if the job has none."""
    if not job.has_evaluation:
        return None
    data = files.read_bytes(files.join(job.output, EMBEDDINGS_NAME))
    return EvaluationPictures(
        embed=_embedder(job),
        embeddings_NE=np.load(io.BytesIO(data), allow_pickle=False),
        min_cosine=job.config.near_duplicate_cosine,
    )


def _embedder(job: Job) -> Embedder:
    if not job.embedder:
        return near_duplicates.embed_thumbnails
    assert job.make_embedder is not None, "the command line checks it"
    return job.make_embedder(job.embedder)


def write_shard(number: int, finished: Sequence[pages.FinishedPage], job: Job) -> None:
    """Writes one shard, whole or not at all."""
    path = files.join(job.output, shards.shard_name(number))
    files.write_whole(path, shards.shard_bytes(finished))


def write_yield(counts: Mapping[tuple[str, str], int], job: Job) -> None:
    """Writes `yield.json` and `yield.md`, after all shards: they say that the output is whole."""
    for name, text in (
        (yields.MARKDOWN_NAME, yields.to_markdown(counts)),
        (yields.JSON_NAME, yields.to_json(counts, settings(job))),
    ):
        files.write_whole(files.join(job.output, name), text.encode())


def settings(job: Job) -> dict[str, Any]:
    """What the output depends on, besides the input, as JSON has it."""
    found: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(job.config)))
    return found | {"embedder": job.embedder or "thumbnail"} if job.has_evaluation else found
