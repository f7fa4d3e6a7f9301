"""Clips with captions: video files that lines of JSON name, or members of tar shards.

See `docs/data/video.md`. A source hands on whole files; `ops/decode_video.py` takes their frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.indexes.tar import TarIndex, open_tar_index
from flamingo_jax.data.media import EncodedVideo
from flamingo_jax.data.sources import json_records
from flamingo_jax.data.sources.media_lines import MediaLines, open_media_lines
from flamingo_jax.data.sources.pair import text_of
from flamingo_jax.data.sources.source import Content, RawExample, Source

VIDEO_FIELD = "video"
"""Field of a record that names its clip where it has no `options.image_field`."""

VIDEO_SUFFIXES = ("mp4", "webm", "mkv", "mov", "m4v", "avi")
"""Of several clips in a sample of a tar shard, the first of these is taken."""

TEXT_SUFFIX = "txt"


def json_lines(dataset: DatasetConfig) -> Source:
    """Clips of text files with a JSON object a line: `{"video": "a.mp4", "text": "A dog runs."}`.

    The files lie in `options.images`, a folder or tar shards, or beside the text file if that is
    empty.

    Raises:
        UserError: no text files, no lines, or no folder of clips.
    """
    lines = open_media_lines(dataset)
    return _source(
        dataset, lambda n: _read_line(lines, dataset, n), lines.index.num_lines, lines.problems
    )


def webdataset(dataset: DatasetConfig) -> Source:
    """Clips of tar shards: a sample is a caption `000017.txt` and a clip `000017.mp4`.

    Raises:
        UserError: the shards cannot be used; see `open_tar_index`.
    """
    field = f"config.data[{dataset.name}].paths"
    paths = files.expand(dataset.paths, dataset.data_dir, field)
    index = open_tar_index(paths, dataset.options.index_dir, field)
    return _source(dataset, lambda n: _read_sample(index, n), index.num_samples, index.problems)


def _source(
    dataset: DatasetConfig,
    read: Callable[[int], RawExample],
    num_examples: int,
    problems: tuple[BadSample, ...],
) -> Source:
    return Source(
        name=dataset.source,
        content=Content.CLIP,
        read=read,
        num_examples=num_examples,
        media_shape=(dataset.num_frames, dataset.image_size, dataset.image_size),
        problems=problems,
    )


def _read_line(lines: MediaLines, dataset: DatasetConfig, n: int) -> RawExample:
    place = lines.index.name(n)
    record = json_records.parse_object(lines.index.read(n), place)
    text_field = dataset.options.text_field
    if text_field not in record:
        raise BadSample(Reason.MISSING_TEXT, place, f"no {text_field!r}")
    name = _clip_name(record, dataset.options.image_field, place)
    data = lines.store(n).read(name, place)
    if data is None:
        raise BadSample(Reason.MISSING_MEDIA, place, f"there is no file {name!r}")
    return RawExample(
        chunks=("", text_of(record[text_field], place)),
        media=(EncodedVideo(data=data, name=f"{place}: {name}"),),
        text_in_images=json_records.text_in_images(record, place),
    )


def _clip_name(record: Mapping[str, Any], image_field: str, place: str) -> str:
    field = image_field if image_field in record else VIDEO_FIELD
    if field not in record:
        detail = f"neither {image_field!r} nor {VIDEO_FIELD!r}"
        raise BadSample(Reason.MISSING_MEDIA, place, detail)
    return json_records.expect(record[field], str, field, place)


def _read_sample(index: TarIndex, n: int) -> RawExample:
    suffixes = index.suffixes(n)
    video_suffix = next((suffix for suffix in VIDEO_SUFFIXES if suffix in suffixes), None)
    if video_suffix is None:
        detail = f"no .{', .'.join(VIDEO_SUFFIXES)}; its members: .{', .'.join(suffixes)}"
        raise BadSample(Reason.MISSING_MEDIA, index.name(n), detail)
    if TEXT_SUFFIX not in suffixes:
        detail = f"no .{TEXT_SUFFIX}; its members: .{', .'.join(suffixes)}"
        raise BadSample(Reason.MISSING_TEXT, index.name(n), detail)
    name_of_text, text = index.read_named(n, TEXT_SUFFIX)
    caption = text_of(text, name_of_text)
    name, data = index.read_named(n, video_suffix)
    return RawExample(chunks=("", caption), media=(EncodedVideo(data=data, name=name),))
