"""MMC4 (Multimodal C4): web pages of sentences, with pictures matched to them.

Two layouts are read: zip or .jsonl files as published, with pictures in a folder or in tar shards,
and the tar shards that OpenFlamingo's converter makes, with pictures in the records. See
`docs/data/interleaved.md`; what becomes of a record is in `mmc4_records`.
"""

from __future__ import annotations

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files, image_store, seeds
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.image_store import ImageStore
from flamingo_jax.data.indexes.lines import open_line_index
from flamingo_jax.data.indexes.tar import open_tar_index
from flamingo_jax.data.sources import json_records, mmc4_archives, mmc4_records, page_assembly
from flamingo_jax.data.sources.mmc4_records import Load, Record, Rules
from flamingo_jax.data.sources.source import RawExample, Source

SINGLE_IMAGE_STREAM = "pages/mmc4/single_image"

_TAR = ".tar"
_LINES = (".jsonl", ".zip")


def source(dataset: DatasetConfig) -> Source:
    """The pages of MMC4, and sequences written by ChatGPT among them.

    Raises:
        UserError: no files, files of both layouts, no pictures, or a threshold that no similarity
            can reach.
    """
    field = f"config.data[{dataset.name}]"
    min_similarity = dataset.options.min_similarity
    if not min_similarity <= 1:
        raise UserError(
            f"{field}.options.min_similarity is {min_similarity:g}: expected at most 1, for"
            " similarities are cosines; 30 was meant for similarities times 100, write 0.3"
        )
    paths = files.expand(dataset.paths, dataset.data_dir, f"{field}.paths")
    if all(path.endswith(_TAR) for path in paths):
        return _converted(dataset, paths, field)
    if all(path.endswith(_LINES) for path in paths):
        return _as_published(dataset, paths, field)
    wrong = next(path for path in paths if not path.endswith(_LINES))
    raise UserError(
        f"{field}.paths has {wrong!r}: expected files that all end with .zip or .jsonl, or all with"
        f" .tar for {dataset.source!r}"
    )


def _converted(dataset: DatasetConfig, paths: tuple[str, ...], field: str) -> Source:
    """Tar shards of records with their pictures inside."""
    options = dataset.options
    if options.images:
        raise UserError(
            f"{field}.options.images is {options.images!r}: expected nothing, for tar shards of"
            f" {dataset.source!r} have their pictures in the records"
        )
    index = open_tar_index(paths, options.index_dir, f"{field}.paths")

    def load(info: Record) -> bytes | None:
        return mmc4_records.decode_base64(info.get("image_base64"))

    def read(number: int) -> RawExample:
        place, data = index.read_named(number, "json")
        return _page(dataset, number, data, load, place)

    return page_assembly.source(dataset, read, index.num_samples, index.problems)


def _as_published(dataset: DatasetConfig, paths: tuple[str, ...], field: str) -> Source:
    """Lines of records that name their pictures."""
    options = dataset.options
    store = image_store.open_image_store(
        options.images, dataset.data_dir, options.index_dir, f"{field}.options.images"
    )
    unpacked = mmc4_archives.unpack(paths, options.index_dir, f"{field}.paths")
    number_of = {path: number for number, path in enumerate(unpacked.paths) if path is not None}
    if not number_of:
        raise UserError(f"{field}.paths: no file is whole; {unpacked.problems[0]}")
    index = open_line_index(tuple(number_of), options.index_dir, f"{field}.paths")

    def read(number: int) -> RawExample:
        place = index.name(number)
        load = _from_store(store, number_of[index.path(number)], place)
        return _page(dataset, number, index.read(number), load, place)

    problems = unpacked.problems + index.problems + store.problems
    return page_assembly.source(dataset, read, index.num_lines, problems)


def _from_store(store: ImageStore, number_of_file: int, place: str) -> Load:
    """Pictures under their name, or as OpenFlamingo's converter wants them: <file number>/<name>.

    The folder by number comes first: names are unique within a file, not over all of them.
    """

    def load(info: Record) -> bytes | None:
        name = json_records.expect(info.get("image_name"), str, "image_name", place)
        # Asked first, because "2/" in front makes a safe name of an absolute path.
        if not files.is_safe_name(name):
            raise BadSample(Reason.UNSAFE_NAME, place, f"image_name {name!r}")
        return store.read(f"{number_of_file}/{name}", place) or store.read(name, place)

    return load


def _page(dataset: DatasetConfig, number: int, data: bytes, load: Load, place: str) -> RawExample:
    """The page of a record, if the rules of the config keep it."""
    record = json_records.parse_object(data, place)
    if mmc4_records.is_generated(record):
        return mmc4_records.generated_page(record, place)
    options = dataset.options
    rules = Rules(min_similarity=options.min_similarity, min_image_bytes=options.min_image_bytes)
    page = mmc4_records.web_page(record, load, rules, place)
    if len(page.media) == 1:
        random = seeds.generator(dataset.seed, SINGLE_IMAGE_STREAM, dataset.split, number)
        if random.random() >= options.single_image_probability:
            raise BadSample(Reason.SINGLE_IMAGE, place)
    return page
