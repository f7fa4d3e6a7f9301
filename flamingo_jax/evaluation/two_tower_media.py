"""Pictures and clips as embeddings of the contrastive model, with the pixels of a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future

import jax
import numpy as np

from flamingo_jax.evaluation.benchmarks.benchmark import Item
from flamingo_jax.evaluation.contrastive import TwoTowerModel, unit_mean
from flamingo_jax.evaluation.pictures import in_batches
from flamingo_jax.sharding.logical import DATA, REPLICA

Read = Callable[[Item], np.ndarray]
"""Pixels of an item's picture or clip: uint8 [F, H, W, 3]."""

Report = Callable[[int], None]
"""Is told how many are embedded."""

_FRAMES_OF_A_BATCH = 64


def embed_media(
    model: TwoTowerModel, items: Sequence[Item], read: Read, threads: Executor, report: Report
) -> np.ndarray:
    """Embeds what items show. A clip is the mean of its frames' embeddings, of length 1.

    Args:
      model: the model.
      items: at least one.
      read: called from several threads; all its results have one shape.
      threads: to read with, while the pictures that are read are embedded.
      report: called after every batch.

    Returns:
      float32 [N, E], of length 1.

    Raises:
      UserError: what `read` raises.
    """
    num_devices = model.mesh.shape[REPLICA] * model.mesh.shape[DATA]
    num_frames = len(read(items[0]))
    at_once = max(_FRAMES_OF_A_BATCH // num_frames, 1) * num_devices
    encode = jax.jit(model.functions.encode_image)
    embedded: list[np.ndarray] = []
    num_done = 0
    for media in _read_ahead(items, read, at_once, threads):
        media_NFHWC = np.stack(media)
        frames_MHWC = media_NFHWC.reshape(-1, *media_NFHWC.shape[2:])
        size = at_once * num_frames
        frame_ME = in_batches(model.mesh, model.params, encode, frames_MHWC, size)
        embedded.append(unit_mean(frame_ME.reshape(len(media), num_frames, -1)))
        num_done += len(media)
        report(num_done)
    return np.concatenate(embedded)


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
    yield [future.result() for future in ahead]
