"""Files of a run: atomic writing, folder preparation, content hashes (no jax, no TensorFlow)."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.core.paths import flatten

CONTENT_HASH_DIGITS = 16


def write_atomic(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file so that a reader, or a crash at any moment, sees the old or the new text.

    The text goes to a temporary file of the same folder, is flushed to the disk, and is renamed.

    Args:
      path: the file; its folder must exist.
      text: the whole content, written as UTF-8.

    Raises:
      OSError: the folder is missing or not writable, or the disk is full; `path` is unchanged.
    """
    path = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only the owner reads; a run folder is read by others as well.
        os.chmod(temporary, 0o666 & ~_current_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def prepare_folder(path: str | os.PathLike[str]) -> Path:
    """Makes a folder with its parents, and proves that files can be written in it.

    Args:
      path: the folder; it may exist.

    Returns:
      The absolute path.

    Raises:
      UserError: it cannot be made, is not a folder, or cannot be written to.
    """
    folder = Path(path).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Permission bits do not tell about read-only disks, quotas or the super-user: write.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"cannot write in folder {str(folder)!r} ({reason}); give a folder that you may write"
        ) from None
    return folder


def content_hash(params: Mapping[str, Mapping[str, Any]]) -> str:
    """A short name for the exact content of a parameter tree.

    Args:
      params: `{module path: {name: array}}` of numpy or JAX arrays.

    Returns:
      The first 16 hexadecimal digits of the sha256 over every leaf's path, shape, dtype and bytes
      (row-major, little-endian), in sorted order of the paths: two trees have equal hashes if and
      only if they are equal bit for bit.
    """
    digest = hashlib.sha256()
    for path, leaf in flatten(params).items():
        array = np.asarray(leaf)
        digest.update(f"{path}\0{array.shape}\0{array.dtype.name}\0".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:CONTENT_HASH_DIGITS]
