"""The order of a finite dataset: a new seeded permutation every epoch, reached by position."""

from __future__ import annotations

import functools

import numpy as np

from flamingo_jax.data import seeds

_KEPT_PERMUTATIONS = 4


def example_at(position: int, num_examples: int, seed: int, stream: str, split: str) -> int:
    """The example that stands at a position of the endless stream of epochs.

    Epoch e takes the positions e * num_examples to (e + 1) * num_examples - 1 and has every
    example once, in an order of its own.

    Args:
        position: place in the stream, at least 0.
        num_examples: size of the dataset, at least 1.
        seed: seed of the dataset.
        stream: name of the dataset's source.
        split: split of the dataset.

    Returns:
        A number in [0, num_examples).
    """
    epoch, place = divmod(position, num_examples)
    return int(_permutation(epoch, num_examples, seed, stream, split)[place])


@functools.lru_cache(maxsize=_KEPT_PERMUTATIONS)
def _permutation(epoch: int, num_examples: int, seed: int, stream: str, split: str) -> np.ndarray:
    random = seeds.generator(seed, f"{stream}/order", split, epoch)
    return random.permutation(num_examples)
