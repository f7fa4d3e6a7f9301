"""Pictures, each encoded once: visual tokens for prompts, pooled features for RICES."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from flamingo_jax.data import schema
from flamingo_jax.evaluation import rices
from flamingo_jax.models.build import FlamingoFunctions, Params
from flamingo_jax.sharding.logical import DATA, REPLICA
from flamingo_jax.sharding.rules import to_global

_FRAMES_OF_A_BATCH = 64


class Pictures(NamedTuple):
    """Encoded pictures.

    Attributes:
      latents: float [N, R, D], the resampler's visual tokens.
      pooled: float32 [N, D'], mean features of the frozen vision encoder, of length 1.
    """

    latents: np.ndarray
    pooled: np.ndarray


class PictureEncoder:
    """Runs the vision encoder and the resampler in batches of one size, so that both compile once.

    (The resampler once for each number of frames.)
    """

    def __init__(self, functions: FlamingoFunctions, params: Params, mesh: Mesh) -> None:
        """Compiles nothing yet."""
        self._params = params
        self._mesh = mesh
        self._encode_features = jax.jit(functions.encode_features)
        self._resample = jax.jit(functions.resample)

    @property
    def _num_devices(self) -> int:
        """Over which batches are split."""
        return self._mesh.shape[REPLICA] * self._mesh.shape[DATA]

    def media_at_once(self, num_frames: int) -> int:
        """How many pictures or clips of so many frames are a batch."""
        return max(_FRAMES_OF_A_BATCH // num_frames, 1) * self._num_devices

    def __call__(self, media: Iterable[np.ndarray]) -> Pictures:
        """Encodes pictures or clips.

        Args:
          media: at least one, each uint8 [F, H, W, 3] and all of one shape. A batch is taken at a
            time, so that pixels and features of no more than one are in memory.
        """
        media = iter(media)
        first = next(media)
        media = itertools.chain([first], media)
        F = len(first)
        num_devices = self._num_devices
        num_media = self.media_at_once(F)
        latents, pooled = [], []
        while batch := list(itertools.islice(media, num_media)):
            media_NFHWC = np.stack(batch)
            frames = media_NFHWC.reshape(-1, 1, 1, *media_NFHWC.shape[2:])
            size = _FRAMES_OF_A_BATCH * num_devices
            features = in_batches(self._mesh, self._params, self._encode_features, frames, size)
            features_NFPD = features.reshape(len(batch), F, *features.shape[-2:])
            latents.append(
                in_batches(
                    self._mesh, self._params, self._resample, features_NFPD[:, None], num_media
                )
            )
            pooled.append(rices.pool(features_NFPD))
        return Pictures(latents=np.concatenate(latents)[:, 0], pooled=np.concatenate(pooled))


def in_batches(
    mesh: Mesh, params: Params, function: jax.stages.Wrapped, array: np.ndarray, size: int
) -> np.ndarray:
    """Applies `function(params, batch)` to rows, in batches of exactly `size` rows.

    Args:
      mesh: where the batches go, split over its data axis.
      params: first argument.
      function: jitted; its result has the batch axis first.
      array: [N, ...], N at least 1; the last batch is filled up with its last row.
      size: rows of a batch, a multiple of the mesh's data axis.

    Returns:
      The results [N, ...] on the host.
    """
    results = []
    for start in range(0, len(array), size):
        batch = fill_up(array[start : start + size], size)
        # Not waited for: the next batch is prepared while this one is computed.
        results.append(function(params, to_global(mesh, {schema.MEDIA: batch})[schema.MEDIA]))
    return np.concatenate([np.asarray(result) for result in results])[: len(array)]


def fill_up(batch: np.ndarray, size: int) -> np.ndarray:
    """The batch with its last row repeated up to `size` rows."""
    return np.concatenate([batch, np.repeat(batch[-1:], size - len(batch), axis=0)])
