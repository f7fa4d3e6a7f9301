"""The pipeline on Apache Beam: the functions of `pages`, spread over the workers of any runner.

Nothing is decided here. Every function below takes and returns plain values and calls the functions
that the run in one process calls, so the output is the same, byte for byte, whatever the runner and
the number of workers.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from flamingo_jax.core.errors import UserError
from flamingo_jax.preparation.m3w import job as jobs
from flamingo_jax.preparation.m3w import pages, yields
from flamingo_jax.preparation.m3w.documents import PageDocument, PictureDocument, Unreadable
from flamingo_jax.preparation.m3w.job import Job
from flamingo_jax.preparation.m3w.rules import PageRule

if TYPE_CHECKING:
    import apache_beam as beam

_PAGES, _PICTURES, _COUNTS = "pages", "pictures", "counts"
_WANTED, _FOUND, _CANDIDATE = "wanted", "found", "candidate"

Count = tuple[tuple[str, str], int]


def check_can_run() -> None:
    """Raises a UserError that says what to install unless Beam is there."""
    try:
        import apache_beam  # noqa: F401
    except ImportError:
        raise UserError(
            "this runner needs Apache Beam, which wants other versions of some packages than"
            " training does: make an environment for it (docs/data/prepare_m3w.md), or leave out"
            " --runner to prepare the pages in this process"
        ) from None


def run(job: Job, options: Sequence[str]) -> None:
    """Prepares all pages and waits for the end.

    Args:
        job: what to read and where to write; workers reach the same files.
        options: Beam's, such as "--runner=FlinkRunner".
    """
    # Loads for seconds, and is not among the packages that training needs.
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
        build(pipeline, job)


def build(pipeline: beam.Pipeline, job: Job) -> None:
    """Adds all steps to a pipeline."""
    import apache_beam as beam

    documents = (
        pipeline
        | "Files" >> beam.Create(list(job.paths))
        | "Spread files" >> beam.Reshuffle()
        | "Read" >> beam.FlatMap(functools.partial(read_file, job=job))
        .with_outputs(_PAGES, _PICTURES, _COUNTS)
    )  # fmt: skip
    screened = (
        documents[_PAGES]
        | "Spread pages" >> beam.Reshuffle()
        | "Screen" >> beam.FlatMap(functools.partial(screen_page, job=job))
        .with_outputs(_PAGES, _COUNTS)
    )  # fmt: skip
    chosen = (
        screened[_PAGES]
        | "By address" >> beam.GroupByKey()
        | "Latest" >> beam.FlatMap(choose_latest).with_outputs(_PAGES, _COUNTS)
    )
    with_pictures = chosen[_PAGES]
    if job.from_archives:
        with_pictures = _join_pictures(with_pictures, documents[_PICTURES])
    else:
        with_pictures |= "No archive" >> beam.Map(_without_archive)
    finished = (
        with_pictures
        | "Spread candidates" >> beam.Reshuffle()
        | "Finish" >> beam.FlatMap(functools.partial(finish_page, job=job))
        .with_outputs(_PAGES, _COUNTS)
    )  # fmt: skip
    # Every shard is written, those without pages too: a pattern of names must have no holes.
    empty = pipeline | "Shards" >> beam.Create([(n, None) for n in range(job.config.num_shards)])
    written = (
        (finished[_PAGES], empty)
        | "With empty shards" >> beam.Flatten()
        | "By shard" >> beam.GroupByKey()
        | "Write" >> beam.FlatMap(functools.partial(write_shard, job=job))
    )
    # `written` has no counts; it is here so that the yield is written after all shards.
    _ = (
        (documents[_COUNTS], screened[_COUNTS], chosen[_COUNTS], finished[_COUNTS], written)
        | "All counts" >> beam.Flatten()
        | "Sum" >> beam.CombinePerKey(sum)
        | "Together" >> beam.combiners.ToList()
        | "Write yield" >> beam.Map(functools.partial(write_yield, job=job))
    )


def _join_pictures(candidates: Any, pictures: Any) -> Any:
    """Pages with the pictures that lie at their addresses in the WARC files."""
    import apache_beam as beam

    wanted = candidates | "Wanted" >> beam.FlatMap(wanted_pictures)
    found = pictures | "Found" >> beam.Map(lambda picture: (picture.url, picture))
    of_pages = (
        {_WANTED: wanted, _FOUND: found}
        | "By picture" >> beam.CoGroupByKey()
        | "Latest picture" >> beam.FlatMap(latest_picture)
    )
    return (
        {_CANDIDATE: candidates | "By key" >> beam.Map(lambda page: (page.key, page)),
         _FOUND: of_pages}
        | "By page" >> beam.CoGroupByKey()
        | "Pictures of page" >> beam.Map(pictures_of_page)
    )  # fmt: skip


def read_file(path: str, job: Job) -> Iterator[Any]:
    """Pages, pictures and counts of one file."""
    from apache_beam.pvalue import TaggedOutput

    for document in jobs.read_documents(path, job):
        if isinstance(document, PageDocument):
            yield TaggedOutput(_PAGES, document)
        elif isinstance(document, Unreadable):
            yield from _counts(pages.unreadable_page())
        elif job.from_archives:
            yield TaggedOutput(_PICTURES, document)


def screen_page(page: PageDocument, job: Job) -> Iterator[Any]:
    """(key, page) if its text is good, and counts."""
    from apache_beam.pvalue import TaggedOutput

    candidate, counts = pages.screen(page, job.config)
    yield from _counts(counts)
    if candidate is not None:
        yield TaggedOutput(_PAGES, (candidate.key, candidate))


def choose_latest(group: tuple[str, Iterable[pages.Candidate]]) -> Iterator[Any]:
    """The latest of pages of one address, and counts of the others."""
    from apache_beam.pvalue import TaggedOutput

    *older, latest = sorted(group[1], key=lambda page: page.rank)
    yield TaggedOutput(_PAGES, latest)
    for page in older:
        yield from _counts(pages.dropped_page(PageRule.SAME_ADDRESS, len(page.image_urls)))


def wanted_pictures(candidate: pages.Candidate) -> Iterator[tuple[str, str]]:
    """(address of a picture, key of the page), once each."""
    for url in dict.fromkeys(candidate.image_urls):
        yield url, candidate.key


def latest_picture(
    group: tuple[str, dict[str, Iterable[Any]]],
) -> Iterator[tuple[str, PictureDocument]]:
    """(key of a page, picture) for each page that wants the picture, if there is one."""
    of_address = group[1]
    picture = max(of_address[_FOUND], key=pages.picture_rank, default=None)
    if picture is not None:
        for key in of_address[_WANTED]:
            yield key, picture


def pictures_of_page(
    group: tuple[str, dict[str, Iterable[Any]]],
) -> tuple[pages.Candidate, dict[str, bytes]]:
    """A page, and its pictures by address."""
    (candidate,) = group[1][_CANDIDATE]
    return candidate, {picture.url: picture.data for picture in group[1][_FOUND]}


def finish_page(item: tuple[pages.Candidate, dict[str, bytes]], job: Job) -> Iterator[Any]:
    """(number of the shard, page) if it has a picture left, and counts."""
    from apache_beam.pvalue import TaggedOutput

    candidate, found = item
    find: pages.FindPicture = found.get
    if not job.from_archives:
        find = functools.partial(jobs.folder_picture, images=job.images)
    page, counts = pages.finish(candidate, find, job.config, jobs.evaluation_pictures(job))
    yield from _counts(counts)
    if page is not None:
        shard = pages.shard_of(page.key, job.config.num_shards)
        yield TaggedOutput(_PAGES, (shard, page))


def write_shard(
    group: tuple[int, Iterable[pages.FinishedPage | None]], job: Job
) -> Iterator[Count]:
    """Writes a shard; has nothing to count."""
    number, members = group
    jobs.write_shard(number, [page for page in members if page is not None], job)
    yield from ()


def write_yield(counts: Iterable[Count], job: Job) -> None:
    """Writes the counts of the whole run."""
    jobs.write_yield(Counter(dict(counts)), job)


def _without_archive(candidate: pages.Candidate) -> tuple[pages.Candidate, dict[str, bytes]]:
    return candidate, {}


def _counts(counts: yields.Counts) -> Iterator[Any]:
    from apache_beam.pvalue import TaggedOutput

    for item in counts.items():
        yield TaggedOutput(_COUNTS, item)
