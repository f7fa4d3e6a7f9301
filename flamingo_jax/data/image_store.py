"""Pictures and clips that records name: in a folder, or as members of tar shards.

Names come from data, so nothing of them is trusted: a name that would lead out of the store is
refused, whether by `..`, as an absolute path or through a symbolic link.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.indexes.tar import open_tar_index

TAR_SUFFIX = ".tar"
_REMOTE = "gs://"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageStore:
    """Files by name, from any thread.

    Attributes:
        place: the folder or the shards, for messages.
        read_safe: the bytes of the file of a safe name, None if there is none. Raises OSError or
            BadSample.
        problems: what was found wrong with the shards.
    """

    place: str
    read_safe: Callable[[str], bytes | None]
    problems: tuple[BadSample, ...] = ()

    def read(self, name: str, place: str = "") -> bytes | None:
        """The bytes of the file that a record calls `name`; None if there is no such file.

        Args:
            name: relative to the folder, or the whole name of a member.
            place: where the record is, for messages; empty: the store itself.

        Raises:
            BadSample: `UNSAFE_NAME`, the name leads out of the store; `MISSING_MEDIA`, the file is
                there but cannot be read; what else is wrong with a shard.
        """
        if not files.is_safe_name(name):
            raise BadSample(Reason.UNSAFE_NAME, place or self.place, f"file name {name!r}")
        if not _is_encodable(name):
            return None
        try:
            return self.read_safe(name)
        except OSError as error:
            detail = f"{name!r}: {error.strerror or error}"
            raise BadSample(Reason.MISSING_MEDIA, place or self.place, detail) from error
        except BadSample as bad:
            if not place:
                raise
            raise BadSample(bad.reason, place, str(bad)) from bad


def open_image_store(images: str, data_dir: str, index_dir: str, field: str) -> ImageStore:
    """The store that a config names.

    Args:
        images: a folder, or tar shards by pattern (`images/{0000..0012}.tar`), whose member names
            are then the names; local or gs://.
        data_dir: folder that a relative `images` lies in.
        index_dir: folder for the index of tar shards.
        field: the config's field, for messages ("config.data[pages].options.images").

    Returns:
        The store.

    Raises:
        UserError: `images` is empty or there is nothing at that place.
    """
    if not images:
        raise UserError(f"{field} is empty: expected the folder or the tar shards of the pictures")
    if images.endswith(TAR_SUFFIX):
        index = open_tar_index(files.expand([images], data_dir, field), index_dir, field)
        return ImageStore(place=images, read_safe=index.read_member, problems=index.problems)
    folder = files.join(data_dir, images)
    if not files.is_folder(folder):
        raise UserError(f"{field} is {images!r}: there is no folder {folder!r}")
    return folder_store(folder)


def folder_store(folder: str) -> ImageStore:
    """The store of a folder that exists, local or gs://."""
    read = _remote_reader(folder) if folder.startswith(_REMOTE) else _local_reader(folder)
    return ImageStore(place=folder, read_safe=read)


def _remote_reader(folder: str) -> Callable[[str], bytes | None]:
    def read(name: str) -> bytes | None:
        path = files.join(folder, name)
        return files.read_bytes(path) if files.exists(path) else None

    return read


def _local_reader(folder: str) -> Callable[[str], bytes | None]:
    root = os.path.realpath(folder)

    def read(name: str) -> bytes | None:
        path = os.path.realpath(os.path.join(root, name))
        if os.path.commonpath([root, path]) != root:
            detail = "a symbolic link leads out of the folder"
            raise BadSample(Reason.UNSAFE_NAME, f"{folder}: {name!r}", detail)
        # Folders, sockets and pipes are no pictures; to open a pipe would wait for ever.
        if not os.path.isfile(path):
            return None
        return files.read_bytes(path)

    return read


def _is_encodable(name: str) -> bool:
    """Whether a file can have the name: JSON can write half of a pair of UTF-16 units."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
