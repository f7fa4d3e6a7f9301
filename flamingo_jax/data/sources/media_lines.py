"""Lines of JSON that name pictures or clips: what all sources of such files open."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

from flamingo_jax.config import DatasetConfig
from flamingo_jax.data import files, image_store
from flamingo_jax.data.bad_samples import BadSample
from flamingo_jax.data.image_store import ImageStore
from flamingo_jax.data.indexes.lines import LineIndex, open_line_index


@dataclasses.dataclass(frozen=True, kw_only=True)
class MediaLines:
    """The lines of a dataset, and where the files lie that they name.

    Attributes:
        index: the lines by number.
        stores: by the folder of the text file.
        problems: found while opening.
    """

    index: LineIndex
    stores: Mapping[str, ImageStore]
    problems: tuple[BadSample, ...]

    def store(self, number: int) -> ImageStore:
        """Where the files lie that line `number` names."""
        return self.stores[os.path.dirname(self.index.path(number))]


def open_media_lines(dataset: DatasetConfig) -> MediaLines:
    """Opens the text files in `dataset.paths`.

    The files that they name lie in `options.images`, a folder or tar shards, or beside the text
    file if that is empty.

    Raises:
        UserError: no text file, no line, or no such folder.
    """
    field, options = f"config.data[{dataset.name}]", dataset.options
    paths = files.expand(dataset.paths, dataset.data_dir, f"{field}.paths")
    index = open_line_index(paths, options.index_dir, f"{field}.paths")
    folders = set(map(os.path.dirname, paths))
    if not options.images:
        stores = {folder: image_store.folder_store(folder or ".") for folder in folders}
        return MediaLines(index=index, stores=stores, problems=index.problems)
    store = image_store.open_image_store(
        options.images, dataset.data_dir, options.index_dir, f"{field}.options.images"
    )
    return MediaLines(
        index=index,
        stores=dict.fromkeys(folders, store),
        problems=index.problems + store.problems,
    )
