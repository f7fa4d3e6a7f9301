"""Datasets of pages for tests: configs, tar shards, and stand-ins for pictures."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flamingo_jax.config import DatasetConfig, SourceOptions
from flamingo_jax.data.bad_samples import BadSample
from flamingo_jax.data.sources.source import RawExample, Source


def dataset(source: str, folder: Path, paths: Sequence[str], **options: Any) -> DatasetConfig:
    """The config of a dataset in a folder, with the fields of `SourceOptions` as keywords."""
    return DatasetConfig(
        name="mine",
        source=source,
        batch_size=4,
        loss_weight=1.0,
        max_text_length=32,
        max_images=5,
        image_size=16,
        paths=tuple(paths),
        data_dir=str(folder),
        options=SourceOptions(index_dir=str(folder / "indexes"), **options),
    )


def write_tar(path: Path, members: Mapping[str, bytes]) -> None:
    """A tar shard of members in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def write_lines(path: Path, records: Sequence[Any]) -> None:
    """A file with one record of JSON a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Files by name below a folder."""
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def pictures(example: RawExample) -> list[bytes]:
    """The bytes of the pictures of a page."""
    return [picture.data for picture in example.media]


def reason(source: Source, number: int) -> str:
    """Why an example cannot be used; fails the test if it can."""
    try:
        example = source.read(number)
    except BadSample as bad:
        return bad.reason.value
    raise AssertionError(f"example {number} can be used: {example}")
