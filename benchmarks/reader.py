"""Times our reader of pictures beside webdataset and Grain, on the same files and processors.

    python -m benchmarks.reader --peer-python=PATH [--pictures=2000] [--rounds=7]

PATH is a Python with webdataset, grain and what they need here, for instance

    python -m venv peers
    peers/bin/pip install webdataset==1.0.2 grain==0.2.18 torch==2.13.0 pillow==13.0.0 \\
        sentencepiece==0.2.3 array_record==0.8.6 numpy

The work: JPEG files of 640 x 480 with captions, as tar shards (Grain: the same as ArrayRecord), in
random order to batches of 40 pictures of 320 x 320 and their tokens: decode, shrink with an
antialiasing filter, pad, flip, brightness, contrast, tokenise, batch. Every reader is a process of
its own that stays alive, bound to the same two processors with two threads or worker processes; in
every round each in turn takes batches, first some that are not timed. "ours / it" is the ratio of
pictures a second in the same round, its median over rounds with quartiles. Pictures a second of
processor time count all threads and workers; on a machine that others use too, they say more than
the clock.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import reader_pictures, reader_process
from benchmarks.live_process import STEP, LiveProcess
from benchmarks.train_step import paired_ratio
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import vocabulary

USER_ERROR_EXIT_CODE = 3
OURS = "ours, 2 threads"


@dataclasses.dataclass(frozen=True)
class Competitor:
    """One process of the comparison: a module, and how it spreads its work."""

    module: str
    mode: str


COMPETITORS: Mapping[str, Competitor] = {
    OURS: Competitor("benchmarks.our_reader", "threads"),
    "webdataset, 2 workers": Competitor("benchmarks.peers.webdataset_reader", "workers"),
    "Grain, 2 threads": Competitor("benchmarks.peers.grain_reader", "threads"),
    "Grain, 2 workers": Competitor("benchmarks.peers.grain_reader", "workers"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """What is known of a reader after a run.

    Attributes:
        pictures_per_second: by the clock, a number a round.
        pictures_per_cpu_second: by the time of all processors together, a number a round.
        mean_pixel: of a batch.
        mean_tokens: of the texts of a batch.
    """

    pictures_per_second: Sequence[float]
    pictures_per_cpu_second: Sequence[float]
    mean_pixel: float
    mean_tokens: float


def measure(folder: Path, peer_python: Path, rounds: int, batches: int) -> dict[str, Measured]:
    """Runs all readers side by side.

    Args:
        folder: of the shards; takes the readers' own files as well.
        peer_python: interpreter of the peers.
        rounds: how often each is timed.
        batches: how many are timed at once.

    Returns:
        What was measured, by reader.
    """
    words = str(vocabulary.load("world").path)
    seconds: dict[str, list[float]] = {name: [] for name in COMPETITORS}
    cpu_seconds: dict[str, list[float]] = {name: [] for name in COMPETITORS}
    with contextlib.ExitStack() as stack:
        processes: dict[str, LiveProcess] = {}
        for name, how in COMPETITORS.items():
            python = sys.executable if name == OURS else str(peer_python)
            command = [python, "-m", how.module, str(folder), words, how.mode, str(batches)]
            processes[name] = LiveProcess(command, {}, folder / f"{len(processes)}.log")
            stack.callback(processes[name].close)
        order = list(processes)
        for _ in range(rounds):
            for name in order:
                answer = processes[name].order(STEP)
                seconds[name].append(answer["seconds"])
                cpu_seconds[name].append(answer["cpu_seconds"])
            order = order[1:] + order[:1]
    count = batches * reader_process.BATCH_SIZE
    return {
        name: Measured(
            pictures_per_second=[count / value for value in seconds[name]],
            pictures_per_cpu_second=[count / value for value in cpu_seconds[name]],
            mean_pixel=process.description["mean"],
            mean_tokens=process.description["tokens"],
        )
        for name, process in processes.items()
    }


COLUMNS = (
    "reader", "pictures/s", "ours / it (quartiles)", "pictures/s of one processor", "ours / it",
    "mean pixel", "mean tokens",
)  # fmt: skip


def report(measured: Mapping[str, Measured]) -> str:
    """The table as Markdown, and the line that sums it up."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    ours = measured[OURS]
    for name, it in measured.items():
        by_clock = paired_ratio(ours.pictures_per_second, it.pictures_per_second)
        by_cpu, _, _ = paired_ratio(ours.pictures_per_cpu_second, it.pictures_per_cpu_second)
        cells = (
            name,
            f"{statistics.median(it.pictures_per_second):.0f}",
            "{:.2f} ({:.2f} to {:.2f})".format(*by_clock),
            f"{statistics.median(it.pictures_per_cpu_second):.0f}",
            f"{by_cpu:.2f}",
            f"{it.mean_pixel:.1f}",
            f"{it.mean_tokens:.1f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    peers = [name for name in measured if name != OURS]
    fastest = max(peers, key=lambda name: statistics.median(measured[name].pictures_per_second))
    ratio, _, _ = paired_ratio(ours.pictures_per_second, measured[fastest].pictures_per_second)
    lines.append(f"\nOurs reads {ratio:.2f} times as fast as the fastest peer ({fastest}).")
    return "\n".join(lines)


def run(arguments: argparse.Namespace) -> str:
    """Checks the arguments, writes the pictures, runs the readers.

    Returns:
        The report.
    """
    for name in ("rounds", "batches"):
        if getattr(arguments, name) < 1:
            raise UserError(f"--{name} is {getattr(arguments, name)}: expected at least 1")
    if arguments.pictures < reader_process.BATCH_SIZE:
        raise UserError(
            f"--pictures is {arguments.pictures}: expected at least {reader_process.BATCH_SIZE}"
        )
    if arguments.peer_python is None or not os.access(arguments.peer_python, os.X_OK):
        raise UserError(
            f"--peer-python is {arguments.peer_python}: expected a Python with webdataset, grain,"
            " torch, pillow, sentencepiece and array_record; see --help"
        )
    if len(os.sched_getaffinity(0)) < reader_process.CORES:
        raise UserError(f"{reader_process.CORES} processors are needed")
    with tempfile.TemporaryDirectory() as folder:
        reader_pictures.write_shards(Path(folder), arguments.pictures)
        measured = measure(Path(folder), arguments.peer_python, arguments.rounds, arguments.batches)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{report(measured)}\nLoad of the machine over 1, 5 and 15 minutes: {load}."


def main() -> None:
    """Runs the comparison and prints its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer-python", type=Path, default=None, help="the peers' interpreter")
    parser.add_argument("--pictures", type=int, default=2000, help="files that are written")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is timed")
    parser.add_argument(
        "--batches",
        type=int,
        default=40,
        help="batches that are timed at once; what was ready before counts little among many",
    )
    arguments = parser.parse_args()
    try:
        print(run(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR_EXIT_CODE)


if __name__ == "__main__":
    main()
