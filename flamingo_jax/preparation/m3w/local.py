"""The pipeline in this process, without Beam: for a few hundred thousand pages.

Pages wait in memory as text, pictures of WARC files in a temporary folder; one shard is finished at
a time.
"""

from __future__ import annotations

import functools
import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from flamingo_jax.preparation.m3w import job as jobs
from flamingo_jax.preparation.m3w import pages, yields
from flamingo_jax.preparation.m3w.documents import PictureDocument, Unreadable
from flamingo_jax.preparation.m3w.job import Job
from flamingo_jax.preparation.m3w.rules import PageRule


def run(job: Job) -> yields.Counts:
    """Prepares all pages.

    Args:
        job: what to read and where to write.

    Returns:
        What `yield.json` says.
    """
    candidates, counts = _screen_all(job)
    of_shard: dict[int, list[pages.Candidate]] = {n: [] for n in range(job.config.num_shards)}
    for key, candidate in candidates.items():
        of_shard[pages.shard_of(key, job.config.num_shards)].append(candidate)
    with tempfile.TemporaryDirectory(prefix="m3w-") as folder:
        find: pages.FindPicture = functools.partial(jobs.folder_picture, images=job.images)
        if job.from_archives:
            find = _unpack_pictures(job, candidates.values(), Path(folder))
        evaluation = jobs.evaluation_pictures(job)
        for number, members in of_shard.items():
            finished = []
            for candidate in members:
                page, counted = pages.finish(candidate, find, job.config, evaluation)
                counts.update(counted)
                if page is not None:
                    finished.append(page)
            jobs.write_shard(number, finished, job)
    jobs.write_yield(counts, job)
    return counts


def _screen_all(job: Job) -> tuple[dict[str, pages.Candidate], yields.Counts]:
    """The pages whose text is good by key, the latest of each address."""
    candidates: dict[str, pages.Candidate] = {}
    counts: yields.Counts = Counter()
    for path in job.paths:
        for document in jobs.read_documents(path, job):
            if isinstance(document, PictureDocument):
                continue
            if isinstance(document, Unreadable):
                counts.update(pages.unreadable_page())
                continue
            candidate, counted = pages.screen(document, job.config)
            counts.update(counted)
            if candidate is None:
                continue
            if other := candidates.get(candidate.key):
                older, candidate = sorted((other, candidate), key=lambda page: page.rank)
                counts.update(pages.dropped_page(PageRule.SAME_ADDRESS, len(older.image_urls)))
            candidates[candidate.key] = candidate
    return candidates, counts


def _unpack_pictures(
    job: Job, candidates: Iterable[pages.Candidate], folder: Path
) -> Callable[[str], bytes | None]:
    """Copies the pictures that the pages want out of the WARC files, the latest of each address."""
    wanted = {url for candidate in candidates for url in candidate.image_urls}
    found: dict[str, tuple[str, str]] = {}
    for path in job.paths:
        for document in jobs.read_documents(path, job):
            if not isinstance(document, PictureDocument) or document.url not in wanted:
                continue
            rank = pages.picture_rank(document)
            if rank > found.get(document.url, ("", "")):
                found[document.url] = rank
                (folder / _file_name(document.url)).write_bytes(document.data)

    def find(url: str) -> bytes | None:
        return (folder / _file_name(url)).read_bytes() if url in found else None

    return find


def _file_name(url: str) -> str:
    return hashlib.blake2b(url.encode("utf-8", "replace"), digest_size=16).hexdigest()
