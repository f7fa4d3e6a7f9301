"""Stateless seeds: what is random about example n follows from the dataset's seed and n alone.

No generator lives from one example to the next, so an example can be made at any position, in any
order and on any host, and a run that goes on from position n needs to know nothing but n.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np

_KEY_BYTES = 8


def generator(seed: int, stream: str, split: str, index: int) -> np.random.Generator:
    """The random generator of one example for one purpose.

    Args:
        seed: seed of the dataset, at least 0.
        stream: what the numbers are for ("world/pages", "world/pages/p_next"); streams are
            independent of each other.
        split: "train", "validation" or "test"; splits are independent of each other.
        index: number of the example, at least 0.

    Returns:
        A generator that depends on the four arguments and on nothing else.
    """
    return np.random.default_rng((seed, _key(stream, split), index))


@functools.lru_cache(maxsize=256)
def _key(stream: str, split: str) -> int:
    name = f"{stream}\n{split}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=_KEY_BYTES).digest(), "little")
