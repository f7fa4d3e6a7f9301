"""Real scans of handwritten digits, and their one split into train, validation and test.

scikit-learn ships 1,797 scans of 8x8 pixels (the test part of the UCI optical digits set). They
are the only pictures of the embedded world, so that it needs no download.
"""

from __future__ import annotations

import functools

import numpy as np
from sklearn import datasets

SPLITS = ("train", "validation", "test")
NUM_CLASSES = 10
SCAN_SIZE = 8

_SPLIT_SEED = 2204
_TRAIN_SHARE = 0.65
_VALIDATION_SHARE = 0.1


@functools.cache
def scans_by_class(split: str) -> tuple[np.ndarray, ...]:
    """Ink coverage of the scans of a split, class by class.

    The scans of every class are shuffled once with a fixed seed and cut into 65% train, 10%
    validation and 25% test, so that no scan is in two splits.

    Args:
        split: one of `SPLITS`.

    Returns:
        Ten float32 arrays [number of scans, 8, 8] with values in [0, 1]; entry d holds digit d.

    Raises:
        ValueError: on an unknown split.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: it is one of {', '.join(SPLITS)}")
    digits = datasets.load_digits()
    coverage = (digits.images / 16.0).astype(np.float32)
    random = np.random.default_rng(_SPLIT_SEED)
    classes = []
    for digit in range(NUM_CLASSES):
        rows = random.permutation(np.flatnonzero(digits.target == digit))
        first = round(_TRAIN_SHARE * len(rows))
        second = first + round(_VALIDATION_SHARE * len(rows))
        part = {"train": rows[:first], "validation": rows[first:second], "test": rows[second:]}
        classes.append(coverage[part[split]])
    return tuple(classes)
