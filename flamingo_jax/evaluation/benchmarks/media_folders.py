"""The pictures and clips of a benchmark by name, out of folders and tar shards.

A name is that of the folder and the file in it: `val2014/COCO_val2014_000000000042.jpg`. Files are
read when they are asked for; names come from data, so the store behind them refuses unsafe ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import files
from flamingo_jax.data.bad_samples import BadSample
from flamingo_jax.data.image_store import TAR_SUFFIX, ImageStore, folder_store, open_image_store
from flamingo_jax.data.media import EncodedImage


@dataclasses.dataclass(frozen=True, kw_only=True)
class MediaFolder:
    """A folder of media files, or tar shards that have what such a folder would.

    Attributes:
      name: first part of the names of its files.
      store: the files by the rest of their names.
      is_packed: whether the store is of tar shards, whose members may be named with the folder in
        front or without.
    """

    name: str
    store: ImageStore
    is_packed: bool

    def read(self, rest: str) -> bytes | None:
        """The bytes of a file, None if there is no such file. Raises BadSample."""
        data = self.store.read(rest)
        if data is None and self.is_packed:
            data = self.store.read(f"{self.name}/{rest}")
        return data


def find_media_folder(home: str, name: str, benchmark: str) -> MediaFolder | None:
    """The folder `name`, the file `name.tar` or the shards `name-*.tar` in a folder.

    Args:
      home: the folder to look in, local or gs://.
      name: what to look for.
      benchmark: for messages.

    Returns:
      The first of the three that is there, None if there is none.
    """
    path = files.join(home, name)
    if files.is_folder(path):
        return MediaFolder(name=name, store=folder_store(path), is_packed=False)
    field = f"{benchmark}: pictures or clips {name!r}"
    if files.exists(path + TAR_SUFFIX):
        pattern = name + TAR_SUFFIX
    else:
        pattern = f"{name}-*{TAR_SUFFIX}"
        try:
            files.expand([pattern], home, field)
        except UserError:
            return None
    return MediaFolder(name=name, store=open_image_store(pattern, home, "", field), is_packed=True)


def no_other_names(name: str) -> Sequence[str]:
    """Says that a medium has no name but its own."""
    del name
    return ()


class MediaFolders:
    """Pictures of several folders, by the name of the folder and that of the file."""

    def __init__(
        self,
        benchmark: str,
        folders: Iterable[MediaFolder],
        other_names: Callable[[str], Sequence[str]] = no_other_names,
    ) -> None:
        """Reads nothing yet.

        Args:
          benchmark: its name, for messages.
          folders: where the files lie.
          other_names: under which names to look where there is no file of the first name.
        """
        self._benchmark = benchmark
        self._folders = {folder.name: folder for folder in folders}
        self._other_names = other_names

    def read(self, name: str) -> EncodedImage:
        """The file of a picture.

        Raises:
          UserError: it is missing, empty, or its name is not safe. A score is a mean over all
            queries, so none is passed over.
        """
        names = (name, *self._other_names(name))
        for candidate in names:
            data = self._bytes(candidate)
            if data is None:
                continue
            if not data:
                raise UserError(f"{self._benchmark}: the file {self._place(candidate)!r} is empty")
            return EncodedImage(data=data, name=f"{self._benchmark}: {candidate}")
        places = " or ".join(repr(self._place(candidate)) for candidate in names)
        raise UserError(f"{self._benchmark}: there is no file {places}, which its annotations name")

    def _bytes(self, name: str) -> bytes | None:
        top, _, rest = name.partition("/")
        folder = self._folders.get(top)
        if folder is None:
            return None
        try:
            return folder.read(rest)
        except BadSample as bad:
            raise UserError(f"{self._benchmark}: {name!r} cannot be used: {bad}") from None

    def _place(self, name: str) -> str:
        top, _, rest = name.partition("/")
        folder = self._folders.get(top)
        if folder is None:
            return name
        return f"{folder.store.place}/{rest}"
