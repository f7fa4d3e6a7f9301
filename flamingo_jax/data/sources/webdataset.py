"""Pictures with captions out of tar shards, as img2dataset writes them and webdataset reads them.

A sample is a caption `000017.txt` and one picture `000017.jpg` (or .png, .jpeg, .webp); see
`docs/data/pairs.md`.
"""

from __future__ import annotations

import json

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.indexes.tar import TarIndex, open_tar_index
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.sources.json_records import TEXT_IN_IMAGES
from flamingo_jax.data.sources.pair import pair_source, text_of
from flamingo_jax.data.sources.source import RawExample, Source

TEXT_SUFFIX = "txt"
IMAGE_SUFFIXES = ("jpg", "png", "jpeg", "webp")
"""Of several pictures, the first of these is taken."""

METADATA_SUFFIX = "json"


def source(dataset: DatasetConfig) -> Source:
    """The samples of the shards in `dataset.paths`.

    Raises:
        UserError: the shards cannot be used; see `open_tar_index`.
    """
    field = f"config.data[{dataset.name}].paths"
    paths = files.expand(dataset.paths, dataset.data_dir, field)
    index = open_tar_index(paths, dataset.options.index_dir, field)
    return pair_source(
        dataset, lambda n: _read(index, n), index.num_samples, problems=index.problems
    )


def _read(index: TarIndex, n: int) -> RawExample:
    suffixes = index.suffixes(n)
    image_suffix = next((suffix for suffix in IMAGE_SUFFIXES if suffix in suffixes), None)
    if image_suffix is None:
        detail = f"no .{', .'.join(IMAGE_SUFFIXES)}; its members: .{', .'.join(suffixes)}"
        raise BadSample(Reason.MISSING_MEDIA, index.name(n), detail)
    if TEXT_SUFFIX not in suffixes:
        detail = f"no .{TEXT_SUFFIX}; its members: .{', .'.join(suffixes)}"
        raise BadSample(Reason.MISSING_TEXT, index.name(n), detail)
    name_of_text, text = _not_empty(*index.read_named(n, TEXT_SUFFIX))
    name, image = _not_empty(*index.read_named(n, image_suffix))
    return RawExample(
        chunks=("", text_of(text, name_of_text)),
        media=(EncodedImage(data=image, name=name),),
        text_in_images=METADATA_SUFFIX in suffixes and _has_text_in_images(index, n),
    )


def _not_empty(name: str, content: bytes) -> tuple[str, bytes]:
    if not content:
        raise BadSample(Reason.EMPTY_FILE, name)
    return name, content


def _has_text_in_images(index: TarIndex, n: int) -> bool:
    """What the sample's metadata say. Other programs write them: a broken file is no fault."""
    content = index.read(n, METADATA_SUFFIX)
    if TEXT_IN_IMAGES.encode() not in content:
        return False
    try:
        metadata = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(metadata, dict) and metadata.get(TEXT_IN_IMAGES) is True
