"""Writes a shard: a tar file that is the same byte for byte whenever its content is the same."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_KEY_DIGITS = 10


class ShardWriter:
    """Writes documents into an open tar file, the members of each side by side."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        """Writes into `tar`; see `open_shard`."""
        self._tar = tar

    def write(self, number: int, record: Mapping[str, Any], pictures: Mapping[int, bytes]) -> None:
        """Writes the members `<key>.json` and `<key>.<i>.jpg` of a document.

        Args:
            number: of the document; its ten digits are the key.
            record: values of JSON.
            pictures: JPEG files by their place i in the document's lists.
        """
        key = f"{number:0{_KEY_DIGITS}d}"
        self._add(f"{key}.json", json.dumps(record).encode())
        for place, data in sorted(pictures.items()):
            self._add(f"{key}.{place}.jpg", data)

    def _add(self, name: str, data: bytes) -> None:
        # A member has no owner and was made in 1970 unless it is told otherwise.
        member = tarfile.TarInfo(name)
        member.size = len(data)
        self._tar.addfile(member, io.BytesIO(data))


@contextlib.contextmanager
def open_shard(path: Path) -> Iterator[ShardWriter]:
    """A shard to write, over what may be at `path`; on the disk when the block ends without error.

    Args:
        path: the file.
    """
    with path.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            yield ShardWriter(tar)
        file.flush()
        os.fsync(file.fileno())
