"""A reader as a process that waits for orders, and what all of them have in common.

As in `live_process`, whose parent side starts these too; here a step is some batches, and
processor time is that of the process and of all its workers. Only the standard library is
imported.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.live_process import STEP

BATCH_SIZE = 40
IMAGE_SIZE = 320
TEXT_LENGTH = 64
FLIP_PROBABILITY = 0.5
BRIGHTNESS = 0.2
CONTRAST = 0.2
CORES = 2
"""Threads or workers of every reader, and processors that it is bound to."""

WARM_UP_BATCHES = 12
"""Taken before those that are timed: more than any reader prepares while it waits for its turn."""

NextBatch = Callable[[], tuple[Any, Any]]
"""() -> pictures uint8 [BATCH_SIZE, IMAGE_SIZE, IMAGE_SIZE, 3] and texts [BATCH_SIZE, TEXT_LENGTH],
as arrays of NumPy or of torch; axes of length 1 may stand between."""


class Arguments(NamedTuple):
    """The command line of a reader.

    Attributes:
        folder: of the shards, and of whatever the reader makes of them.
        vocabulary: a SentencePiece model file.
        mode: how the reader spreads its work, for those that have a choice.
        batches: in a step.
    """

    folder: Path
    vocabulary: Path
    mode: str
    batches: int

    @property
    def shards(self) -> list[str]:
        """The tar shards."""
        return sorted(str(path) for path in self.folder.glob("*.tar"))


def arguments(description: str | None) -> Arguments:
    """Reads the command line, and binds the process to `CORES` processors."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path)
    parser.add_argument("vocabulary", type=Path)
    parser.add_argument("mode")
    parser.add_argument("batches", type=int)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    return Arguments(**vars(parser.parse_args()))


def serve(next_batch: NextBatch, batches: int) -> None:
    """Obeys orders until standard input ends.

    Args:
        next_batch: waits for the next batch.
        batches: in a step.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(values: dict[str, Any]) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    answer(describe(*next_batch()))
    for line in sys.stdin:
        if line.strip() == STEP:
            take(next_batch, WARM_UP_BATCHES)
            start, cpu_start = time.perf_counter(), cpu_seconds()
            take(next_batch, batches)
            seconds, used = time.perf_counter() - start, cpu_seconds() - cpu_start
            answer({"seconds": seconds, "cpu_seconds": used})


def take(next_batch: NextBatch, batches: int) -> None:
    """Takes batches and reads a number of each, as whoever trains would read all of them."""
    for _ in range(batches):
        pictures, _ = next_batch()
        int(pictures.reshape(-1)[0])


def describe(pictures: Any, texts: Any) -> dict[str, Any]:
    """What a batch holds, to see that all readers do the same work."""
    return {
        "pictures": [int(axis) for axis in pictures.shape if axis != 1],
        "dtype": str(pictures.dtype).removeprefix("torch."),
        "mean": float(pictures.reshape(-1)[::7].astype("float64").mean())
        if hasattr(pictures, "astype")
        else float(pictures.reshape(-1)[::7].double().mean()),
        "texts": [int(axis) for axis in texts.shape],
        "tokens": float((texts != 0).sum()) / int(texts.shape[0]),
    }


def cpu_seconds() -> float:
    """Processor time of this process and of all below it, so far (Linux)."""
    parents, ticks = {}, {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # It has just ended.
            continue
        parents[int(folder.name)] = int(fields[1])
        # User and system time, its own and that of children that have ended.
        ticks[int(folder.name)] = sum(map(int, fields[11:15]))
    family = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks.get(pid, 0) for pid in family) / os.sysconf("SC_CLK_TCK")
