"""The order of a finite dataset: a new seeded permutation every epoch, reached by position.

A permutation of all examples of a web-scale dataset would fill the memory as a list. Here it is a
function: a Feistel network permutes the numbers below a power of four, and a number that lands
outside the dataset is sent through it again until it lands inside ("cycle walking": Black and
Rogaway, Ciphers with Arbitrary Finite Domains, 2002). Reaching any position costs the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from flamingo_jax.data import seeds

_NUM_ROUNDS = 8
# With halves of fewer bits the orders of five or six examples are not equally likely.
_LEAST_HALF_BITS = 4
_KEPT_PERMUTATIONS = 8
_WORD = (1 << 64) - 1


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
    return _permutation(epoch, num_examples, seed, stream, split)(place)


@functools.lru_cache(maxsize=_KEPT_PERMUTATIONS)
def _permutation(
    epoch: int, num_examples: int, seed: int, stream: str, split: str
) -> Callable[[int], int]:
    random = seeds.generator(seed, f"{stream}/order", split, epoch)
    keys = [int(key) for key in random.integers(0, _WORD, size=_NUM_ROUNDS, dtype="uint64")]
    half_bits = max(_LEAST_HALF_BITS, ((num_examples - 1).bit_length() + 1) // 2)
    low = (1 << half_bits) - 1

    def permute(place: int) -> int:
        while True:
            left, right = place >> half_bits, place & low
            for key in keys:
                left, right = right, left ^ (_mixed(right + key) & low)
            place = left << half_bits | right
            if place < num_examples:
                return place

    return permute


def _mixed(value: int) -> int:
    """Scrambles 64 bits: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014)."""
    value &= _WORD
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _WORD
    return value ^ (value >> 31)
