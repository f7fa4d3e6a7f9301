"""A folder of this machine that stands in for a bucket of Google Cloud Storage."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from etils import epath
from etils.epath import gpath, stat_utils

BUCKET = "gs://bucket"


@contextlib.contextmanager
def bucket_in(folder: Path) -> Iterator[None]:
    """Makes epath read and write `gs://bucket/...` below a folder."""

    def local(path: object) -> Path:
        return folder / str(path).removeprefix(f"{BUCKET}/")

    def stat(original: object, path: object) -> stat_utils.StatResult:
        found = local(path).stat()
        is_folder = local(path).is_dir()
        return stat_utils.StatResult(
            is_directory=is_folder, length=found.st_size, mtime=int(found.st_mtime)
        )

    def find(original: object, pattern: object) -> list[str]:
        below = str(pattern).removeprefix(f"{BUCKET}/")
        return [f"{BUCKET}/{found.relative_to(folder)}" for found in folder.glob(below)]

    # Where TensorFlow is installed, epath takes its file system, which cannot be replaced.
    with (
        mock.patch.object(gpath, "_is_tf_installed", lambda: False),
        epath.testing.mock_epath(
            open=lambda original, path, mode: local(path).open(mode),
            exists=lambda original, path: local(path).exists(),
            isdir=lambda original, path: local(path).is_dir(),
            glob=find,
            stat=stat,
        ),
    ):
        yield
