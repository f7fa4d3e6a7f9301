"""OBELICS from parquet files of URLs to tar shards with pictures; can be killed and goes on."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.preparation.obelics import addresses, fetch, pictures
from flamingo_jax.preparation.obelics.documents import Document, Documents
from flamingo_jax.preparation.obelics.fetch import FetchOptions
from flamingo_jax.preparation.obelics.manifest import (
    Manifest,
    ShardRecord,
    open_manifest,
    unfinished_name,
)
from flamingo_jax.preparation.obelics.outcomes import FetchFailed, Outcome
from flamingo_jax.preparation.obelics.progress import Progress
from flamingo_jax.preparation.obelics.requests_by_host import RequestsByHost
from flamingo_jax.preparation.obelics.shard_writer import open_shard

WRITTEN, WITHOUT_PICTURE, BROKEN = "written", "without_picture", "broken_record"

# Pictures asked for ahead of the one that is written next, for each thread: a slow server at the
# head must not leave the other threads without work. Only shrunk pictures wait in memory.
_AHEAD_OF_EACH_THREAD = 64

# A picture of the most pixels allowed takes 270 MB while it is shrunk, and more threads than cores
# would not shrink any faster.
_shrinking = threading.BoundedSemaphore(os.cpu_count() or 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CollectOptions:
    """What is collected and how.

    Attributes:
        folder: where shards and manifest go; exists.
        shard_size: documents a shard, those left out included.
        max_side: longer side of the kept pictures at most, in pixels.
        limit: the first so many documents only; 0: all.
        threads: pictures fetched at the same time at most.
        per_host: of these, from the same host at most.
        fetch: limits and manners of a request.
    """

    folder: Path
    shard_size: int
    max_side: int
    limit: int
    threads: int
    per_host: int
    fetch: FetchOptions


def collect(
    documents: Documents, options: CollectOptions, say: Callable[[str], None]
) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Fetches all that is not there yet.

    Args:
        documents: of all files.
        options: what is collected and how.
        say: takes a line of progress now and then.

    Returns:
        (documents, pictures) by what became of them, of all shards, earlier runs' included.

    Raises:
        UserError: the folder is another's (see `open_manifest`), or cannot be written in any more.
    """
    pool: RequestsByHost[bytes | str] = RequestsByHost(options.threads, options.per_host)
    with contextlib.closing(pool):
        try:
            with open_manifest(options.folder, _settings(documents, options)) as manifest:
                _finish_all(documents, manifest, pool, options, say)
                return manifest.totals()
        except OSError as error:
            raise UserError(
                f"cannot write in {options.folder} ({error.strerror or error}); mend that, then"
                " the same command goes on"
            ) from error


def _finish_all(
    documents: Documents,
    manifest: Manifest,
    pool: RequestsByHost[bytes | str],
    options: CollectOptions,
    say: Callable[[str], None],
) -> None:
    """Makes all shards that are not finished."""
    total = min(len(documents), options.limit or len(documents))
    num_shards = -(-total // options.shard_size)
    to_do = [shard for shard in range(num_shards) if not manifest.is_finished(shard)]
    spans = _spans(to_do, options.shard_size, total)
    progress = Progress(num_shards, num_shards - len(to_do), sum(map(len, spans)), say)
    rows = (row for span in spans for row in documents.read(span.start, span.stop))
    asked = _asked(rows, pool, options)
    for shard, of_shard in itertools.groupby(asked, lambda item: _shard_of(item, options)):
        manifest.finish(_write_shard(shard, of_shard, options, progress))
        progress.count_shard()


def _spans(shards: Iterable[int], shard_size: int, total: int) -> list[range]:
    """The documents of shards, those of neighbours together: files are then read in one go."""
    spans: list[range] = []
    for shard in shards:
        start, stop = shard * shard_size, min((shard + 1) * shard_size, total)
        if spans and spans[-1].stop == start:
            start = spans.pop().start
        spans.append(range(start, stop))
    return spans


def _settings(documents: Documents, options: CollectOptions) -> Mapping[str, object]:
    return {
        "input": documents.files,
        "max_side": options.max_side,
        "shard_size": options.shard_size,
        "max_bytes": options.fetch.max_bytes,
        "limit": options.limit,
    }


@dataclasses.dataclass(frozen=True)
class _Asked:
    """A document and, by their place, its pictures to come: a JPEG file or the outcome."""

    document: Document
    coming: Mapping[int, Future[bytes | str]]


def _shard_of(asked: _Asked, options: CollectOptions) -> int:
    return asked.document.number // options.shard_size


def _asked(
    documents: Iterable[Document], pool: RequestsByHost[bytes | str], options: CollectOptions
) -> Iterator[_Asked]:
    """The documents in order, their pictures asked for some way ahead."""
    most = _AHEAD_OF_EACH_THREAD * options.threads
    ahead: collections.deque[_Asked] = collections.deque()
    num_coming = 0
    for document in documents:
        coming = {
            place: pool.submit(
                _host(url), functools.partial(_picture, url, options.fetch, options.max_side)
            )
            for place, url in enumerate(document.images)
            if url is not None
        }
        ahead.append(_Asked(document, coming))
        num_coming += len(coming)
        while num_coming > most:
            first = ahead.popleft()
            num_coming -= len(first.coming)
            yield first
    yield from ahead


def _host(url: str) -> str:
    """Whose limit of requests a URL counts for."""
    try:
        return addresses.parse(url).host
    except FetchFailed:
        return ""  # Is refused without asking anybody.


def _picture(url: str, options: FetchOptions, max_side: int) -> bytes | str:
    """The picture as it is kept, or the outcome that tells why there is none."""
    try:
        data = fetch.fetch(url, options)
        with _shrinking:
            return pictures.kept_jpeg(EncodedImage(data=data, name=url), max_side)
    except FetchFailed as failed:
        return failed.outcome
    except BadSample as bad:
        return bad.reason.value
    except MemoryError:  # The next run would end at the same picture.
        return Reason.IMAGE_TOO_LARGE.value


def _write_shard(
    shard: int, asked: Iterable[_Asked], options: CollectOptions, progress: Progress
) -> ShardRecord:
    """Writes the unfinished file of a shard."""
    path = options.folder / unfinished_name(shard)
    num_documents: collections.Counter[str] = collections.Counter()
    outcomes: collections.Counter[str] = collections.Counter()
    with open_shard(path) as writer:
        for item in asked:
            results = {place: future.result() for place, future in item.coming.items()}
            kept = {place: file for place, file in results.items() if isinstance(file, bytes)}
            of_document = collections.Counter(
                Outcome.SAVED if isinstance(result, bytes) else result
                for result in results.values()
            )
            outcomes += of_document
            progress.count_document(of_document.total(), len(kept))
            if item.document.problem:
                num_documents[BROKEN] += 1
            elif not kept:
                num_documents[WITHOUT_PICTURE] += 1
            else:
                num_documents[WRITTEN] += 1
                writer.write(item.document.number, _record(item.document), kept)
    return ShardRecord(
        shard=shard,
        num_bytes=path.stat().st_size,
        documents=dict(sorted(num_documents.items())),
        pictures=dict(sorted(outcomes.items())),
    )


def _record(document: Document) -> Mapping[str, object]:
    """`<key>.json`: all places of the document, also those whose picture could not be had."""
    return {
        "texts": document.texts,
        "images": document.images,
        "metadata": document.metadata,
        "general_metadata": document.general,
        "url": document.url,
    }
