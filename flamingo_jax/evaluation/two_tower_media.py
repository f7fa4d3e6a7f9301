"""Pictures and clips as embeddings of the contrastive model, with the pixels of a few at a time.

What is embedded is kept in a file until all is scored: an evaluation that was stopped goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path

import jax
import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.contrastive import TwoTowerModel, unit_mean
from flamingo_jax.evaluation.pictures import in_batches
from flamingo_jax.sharding.logical import DATA, REPLICA

Read = Callable[[Item], np.ndarray]
"""Pixels of an item's picture or clip: uint8 [F, H, W, 3]."""

Report = Callable[[int], None]
"""Is told how many are embedded."""

_FRAMES_OF_A_BATCH = 64


class KeptEmbeddings:
    """A file of embeddings, batch behind batch as they are computed: one .npy array each."""

    def __init__(self, path: Path) -> None:
        """Reads what is there; a batch that was not finished is cut off.

        Args:
          path: the file; whoever gives it knows that it is of this model and these pictures.
        """
        self.path = path
        self.batches: list[np.ndarray] = []
        if not path.exists():
            return
        with path.open("r+b") as file:
            finished = 0
            try:
                while True:
                    self.batches.append(np.lib.format.read_array(file, allow_pickle=False))
                    finished = file.tell()
            except ValueError:  # The end, or half of a batch.
                file.truncate(finished)

    @property
    def count(self) -> int:
        """How many pictures or clips are embedded."""
        return sum(map(len, self.batches))

    def append(self, batch_NE: np.ndarray) -> None:
        """Adds a batch, in memory and on disk."""
        self.batches.append(batch_NE)
        with self.path.open("ab") as file:
            np.lib.format.write_array(file, batch_NE, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Takes the file away, when it is not needed any more."""
        self.path.unlink(missing_ok=True)


def embed_media(
    model: TwoTowerModel,
    items: Sequence[Item],
    read: Read,
    threads: Executor,
    report: Report,
    kept: KeptEmbeddings,
) -> np.ndarray:
    """Embeds what items show. A clip is the mean of its frames' embeddings, of length 1.

    Args:
      model: the model.
      items: at least one.
      read: called from several threads; all its results have one shape.
      threads: to read with, while the pictures that are read are embedded.
      report: called after every batch.
      kept: what is embedded; those that it has, of the first items, are not embedded again.

    Returns:
      float32 [N, E], of length 1.

    Raises:
      UserError: what `read` raises, or embeddings that are not finite.
    """
    num_devices = model.mesh.shape[REPLICA] * model.mesh.shape[DATA]
    num_frames = len(read(items[0]))
    at_once = max(_FRAMES_OF_A_BATCH // num_frames, 1) * num_devices
    encode = jax.jit(model.functions.encode_image)
    for media in _read_ahead(items[kept.count :], read, at_once, threads):
        media_NFHWC = np.stack(media)
        frames_MHWC = media_NFHWC.reshape(-1, *media_NFHWC.shape[2:])
        size = at_once * num_frames
        frame_ME = in_batches(model.mesh, model.params, encode, frames_MHWC, size)
        batch_NE = unit_mean(frame_ME.reshape(len(media), num_frames, -1))
        if not np.isfinite(batch_NE).all():
            raise UserError(f"{model.checkpoint}: its embeddings of pictures are not finite")
        kept.append(batch_NE)
        report(kept.count)
    return np.concatenate(kept.batches)


def _read_ahead(
    items: Sequence[Item], read: Read, size: int, threads: Executor
) -> Iterator[list[np.ndarray]]:
    """Groups of pictures; the next group is being read while one is worked on."""
    ahead: list[Future[np.ndarray]] = []
    for start in range(0, len(items), size):
        following = [threads.submit(read, item) for item in items[start : start + size]]
        if ahead:
            yield [future.result() for future in ahead]
        ahead = following
    if ahead:
        yield [future.result() for future in ahead]
