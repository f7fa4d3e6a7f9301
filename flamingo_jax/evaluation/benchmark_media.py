"""The pictures and clips of a benchmark as the model sees them, each encoded once where possible.

They are encoded in groups of one size, cut from a list whose order never changes: what a picture
becomes depends on the list alone, not on what was asked before, so that a run which was stopped
gives the same answers when it goes on.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample
from flamingo_jax.data.ops.decode import decode
from flamingo_jax.evaluation.benchmark_task import BenchmarkTask
from flamingo_jax.evaluation.benchmarks.benchmark import Item, MediaStore
from flamingo_jax.evaluation.benchmarks.clip_files import END_SECONDS, START_SECONDS
from flamingo_jax.evaluation.pictures import PictureEncoder, Pictures

_RECENT_GROUPS = 4


class MediaReader:
    """Pixels of a benchmark's items, read when they are asked for."""

    def __init__(self, name: str, task: BenchmarkTask, num_frames: int, size: int) -> None:
        """Reads nothing yet.

        Args:
          name: of the benchmark, for messages.
          task: frames per second.
          num_frames: of each picture or clip.
          size: height and width in pixels.
        """
        self._name = name
        self._frames_per_second = task.frames_per_second
        self._num_frames = num_frames
        self._size = size

    def black(self) -> np.ndarray:
        """A picture or clip that shows nothing: uint8 [F, H, W, 3]."""
        return np.zeros((self._num_frames, self._size, self._size, 3), np.uint8)

    def read(self, item: Item, store: MediaStore) -> np.ndarray:
        """The picture, clip, or part of a clip that an item is about: uint8 [F, H, W, 3].

        Raises:
          UserError: its file is missing or cannot be decoded. A score is a mean over all queries,
            so none is passed over.
        """
        part = {name: item.details[name] for name in _PART if name in item.details}
        try:
            return decode(
                store.read(item.medium), self._num_frames, self._size, self._frames_per_second,
                **part,
            )  # fmt: skip
        except BadSample as bad:
            raise UserError(f"{self._name}: {item.medium!r} cannot be shown: {bad}") from None


# Names of `decode`'s arguments as well.
_PART = (START_SECONDS, END_SECONDS)


class EncodedMedia:
    """Visual tokens and pooled features of a list of pictures or clips, group by group."""

    def __init__(
        self,
        count: int,
        read: Callable[[int], np.ndarray],
        encoder: PictureEncoder,
        num_frames: int,
        threads: Executor,
        *,
        max_bytes: int | None = None,
        read_ahead: int = 0,
    ) -> None:
        """Reads nothing yet.

        Args:
          count: how many there are.
          read: pixels of number n; called from several threads.
          encoder: of the model.
          num_frames: of each.
          threads: reads with them.
          max_bytes: of what is kept for good; beyond that only the last groups are.
          read_ahead: how many are read while earlier ones are encoded and asked about; for lists
            that are gone through in their order.
        """
        self._count = count
        self._read = read
        self._encoder = encoder
        self._group_size = encoder.media_at_once(num_frames)
        self._threads = threads
        self._max_bytes = max_bytes
        self._groups_ahead = -(-read_ahead // self._group_size)
        self._reading: dict[int, list[Future[np.ndarray]]] = {}
        self._kept: dict[int, Pictures] = {}
        self._recent: dict[int, Pictures] = {}
        self._bytes = 0

    def latents(self, rows: Sequence[int]) -> np.ndarray:
        """Visual tokens [N, R, D] of some of them."""
        return np.stack([self._group(row).latents[row % self._group_size] for row in rows])

    def pooled(self, rows: Sequence[int]) -> np.ndarray:
        """Pooled features [N, D'] of some of them, of length 1."""
        return np.stack([self._group(row).pooled[row % self._group_size] for row in rows])

    def release(self) -> None:
        """Gives back the memory of what is encoded; it is encoded again if it is asked for."""
        self._kept.clear()
        self._recent.clear()
        self._reading.clear()
        self._bytes = 0

    def _group(self, row: int) -> Pictures:
        number = row // self._group_size
        found = self._kept.get(number) or self._recent.get(number)
        return found or self._encode(number)

    def _start_reading(self, number: int) -> None:
        start = number * self._group_size
        rows = range(start, min(start + self._group_size, self._count))
        is_there = number in self._kept or number in self._recent or number in self._reading
        if rows and not is_there:
            self._reading[number] = [self._threads.submit(self._read, row) for row in rows]

    def _encode(self, number: int) -> Pictures:
        for group_ahead in range(number, number + self._groups_ahead + 1):
            self._start_reading(group_ahead)
        group = self._encoder(future.result() for future in self._reading.pop(number))
        size = group.latents.nbytes + group.pooled.nbytes
        if self._max_bytes is None or self._bytes + size <= self._max_bytes:
            self._kept[number] = group
            self._bytes += size
            return group
        while len(self._recent) >= _RECENT_GROUPS:
            del self._recent[next(iter(self._recent))]
        self._recent[number] = group
        return group


def support_features(
    media: EncodedMedia, items: Sequence[Item], folder: Path, name: str, checkpoint: str
) -> np.ndarray:
    """Pooled features of all of a support, for RICES; computed once for each checkpoint.

    Args:
      media: of the support.
      items: of the support.
      folder: where features are kept; it is made if it is missing.
      name: of the file: benchmark and number of frames.
      checkpoint: of the model, content hash included.

    Returns:
      float32 [N, D'].
    """
    listed = "\n".join([checkpoint, *(f"{item.id}\t{item.medium}" for item in items)])
    key = hashlib.sha256(listed.encode()).hexdigest()[:16]
    path = folder / f"{name}-{key}.npy"
    try:
        found = np.load(path, allow_pickle=False)
        if len(found) == len(items):
            return np.asarray(found, np.float32)
    except (OSError, ValueError):
        pass  # Not there, or not whole: computed again.
    features = media.pooled(range(len(items)))
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as file:
        np.save(file, features, allow_pickle=False)
    # mkstemp makes files that only the owner reads; a run folder is read by others as well.
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)
    return features
