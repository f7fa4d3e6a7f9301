"""Times our few-shot answers beside those of Hugging Face's IDEFICS, on CPU in float32.

    python -m benchmarks.decoding --torch-python=PATH [--size=M] [--shots 0 4 32] [--rounds=5]
        [--plot=FILE.png]

PATH is a Python with torch, transformers and numpy, see `benchmarks.train_step`. Both are processes
that stay alive and take turns on the same prompts: 20 tokens a shot, one picture a shot and one for
the query, resampler outputs given, answers of the same number of tokens. Times are of whole
answers, prompt included. "ours / it" is the ratio of tokens a second in the same round, its median
over rounds with quartiles; "by CPU" that of tokens a second of processor time, which says more on a
machine that others use too.

Ranking: 1,000 classes of 2 to 5 tokens behind one cached prompt, against scoring the full prompt of
every class (measured on 16 of them, the rest costs the same), ours and the peer's.
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

from benchmarks import sizes
from benchmarks.decoding_process import BEAM, CLASSES_IN_FULL, GREEDY, NUM_CLASSES, RANK, RANK_FULL
from benchmarks.live_process import MEMORY, LiveProcess
from benchmarks.peers.unlocked_mkl import compile_library
from benchmarks.train_step import HUGE_PAGES, USER_ERROR_EXIT_CODE, paired_ratio
from flamingo_jax.core.errors import UserError

OURS, IDEFICS = "ours", "Hugging Face IDEFICS"
MODULES = {OURS: "benchmarks.ours_decoding", IDEFICS: "benchmarks.peers.idefics_decoding"}
SHOTS = (0, 4, 32)
SHOTS_OF_THE_PLOT = (8, 16)
"""Further numbers of shots that ours alone is timed at."""
METHODS = {GREEDY: "greedy", BEAM: "beam search, 3"}


@dataclasses.dataclass(frozen=True)
class Work:
    """What is timed: a method, at a number of shots."""

    method: str
    shots: int

    @property
    def order(self) -> str:
        """As a process is told."""
        return f"{self.method} {self.shots}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """Times of one piece of work by one competitor, a number a round.

    Attributes:
        seconds: by the clock.
        cpu_seconds: of all processors together.
        done: tokens or classes each time.
    """

    seconds: Sequence[float]
    cpu_seconds: Sequence[float]
    done: int

    @property
    def per_second(self) -> float:
        """Tokens or classes a second."""
        return self.done / statistics.median(self.seconds)


Table = Mapping[tuple[Work, str], Measured]


def works(shots: Sequence[int], ranking_shots: int, *, plot: bool) -> dict[Work, tuple[str, ...]]:
    """What is timed, and by whom."""
    both = (OURS, IDEFICS)
    wanted: dict[Work, tuple[str, ...]] = {
        Work(method, number): both for method in METHODS for number in shots
    }
    if plot:
        wanted |= {Work(method, s): (OURS,) for method in METHODS for s in SHOTS_OF_THE_PLOT}
    return wanted | {Work(RANK, ranking_shots): (OURS,), Work(RANK_FULL, ranking_shots): both}


def measure(
    arguments: argparse.Namespace, preload: Path | None, folder: Path
) -> tuple[dict[tuple[Work, str], Measured], dict[str, int]]:
    """Times all works, the competitors in turns.

    Args:
        arguments: of the command line.
        preload: library to load into the peer.
        folder: takes logs.

    Returns:
        The times, and the peaks of memory in bytes by competitor.
    """
    common = {"OMP_NUM_THREADS": str(arguments.threads)} | HUGE_PAGES
    numbers = [str(arguments.threads), str(arguments.batch), str(arguments.new_tokens)]
    measured = {}
    with contextlib.ExitStack() as stack:
        processes: dict[str, LiveProcess] = {}
        for name, module in MODULES.items():
            python, environment = sys.executable, {"JAX_PLATFORMS": "cpu"}
            if name == IDEFICS:
                # Not resolved: a virtual environment's Python is a link, and must be called as one.
                python = str(arguments.torch_python.absolute())
                environment = {"LD_PRELOAD": str(preload)} if preload else {}
            command = [python, "-m", module, arguments.size, *numbers]
            log = folder / f"{len(processes)}.log"
            processes[name] = LiveProcess(command, environment | common, log)
            stack.callback(processes[name].close)
        wanted = works(arguments.shots, arguments.ranking_shots, plot=arguments.plot is not None)
        for work, names in wanted.items():
            print(f"{work.order} ...", file=sys.stderr, flush=True)
            answers = [
                {name: processes[name].order(work.order) for name in names}
                for _ in range(arguments.rounds)
            ]
            for name in names:
                measured[work, name] = Measured(
                    seconds=[answer[name]["seconds"] for answer in answers],
                    cpu_seconds=[answer[name]["cpu_seconds"] for answer in answers],
                    done=answers[0][name]["done"],
                )
        memory = {name: p.order(MEMORY)["peak_bytes"] for name, p in processes.items()}
    return measured, memory


COLUMNS = (
    "answers", "shots", "ours, tokens/s", "it, tokens/s", "ours / it (quartiles)", "by CPU",
    "ours, queries/s", "it, queries/s",
)  # fmt: skip


def report(table: Table, new_tokens: int, ranking_shots: int) -> str:
    """The table as Markdown, and a sentence on ranking."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    for work in dict.fromkeys(work for work, name in table if name == IDEFICS):
        if work.method not in METHODS:
            continue
        ours, peer = table[work, OURS], table[work, IDEFICS]
        if ours.done != peer.done:
            raise RuntimeError(f"{work}: {ours.done} tokens of ours, {peer.done} of the peer's")
        # A ratio of speeds of the same work is that of times turned round.
        clock, cpu = _speed_ratio(ours, peer)
        cells = (
            METHODS[work.method],
            str(work.shots),
            f"{ours.per_second:.1f}",
            f"{peer.per_second:.1f}",
            "{:.2f} ({:.2f} to {:.2f})".format(*clock),
            f"{cpu:.2f}",
            f"{ours.per_second / new_tokens:.2f}",
            f"{peer.per_second / new_tokens:.2f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    cached = table[Work(RANK, ranking_shots), OURS]
    sentences = []
    for name in (OURS, IDEFICS):
        full = table[Work(RANK_FULL, ranking_shots), name]
        scale = NUM_CLASSES / CLASSES_IN_FULL
        seconds = [value * scale for value in full.seconds]
        by_clock = paired_ratio(seconds, cached.seconds)[0]
        by_cpu = paired_ratio([v * scale for v in full.cpu_seconds], cached.cpu_seconds)[0]
        sentences.append(
            f"{statistics.median(seconds):.0f} s with every class's full prompt ({name}):"
            f" {by_clock:.0f} times as long, {by_cpu:.0f} times by CPU"
        )
    seconds_cached = statistics.median(cached.seconds)
    lines.append(
        f"\nRanking {NUM_CLASSES} classes, {ranking_shots} shots, one query: ours"
        f" {seconds_cached:.2f} s from one cached prompt; {'; '.join(sentences)}."
    )
    return "\n".join(lines)


def _speed_ratio(ours: Measured, peer: Measured) -> tuple[tuple[float, float, float], float]:
    """Ours over the peer's: by the clock with quartiles, and by processor time."""
    clock = paired_ratio(peer.seconds, ours.seconds)
    return clock, paired_ratio(peer.cpu_seconds, ours.cpu_seconds)[0]


def draw(table: Table, batch: int, path: Path) -> None:
    """Time a query over the number of shots: ours alone, and both on a logarithmic scale.

    It is processor time, which other jobs of the machine disturb least.
    """
    # Not at the top: only the plot needs them.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for axes, names in ((left, (OURS,)), (right, (OURS, IDEFICS))):
        for name in names:
            for method, label in METHODS.items():
                points = sorted(
                    (work.shots, statistics.median(measured.cpu_seconds) / batch)
                    for (work, owner), measured in table.items()
                    if owner == name and work.method == method
                )
                style = "o-" if name == OURS else "s--"
                axes.plot(*zip(*points, strict=True), style, label=f"{name}, {label}")
        axes.set_xlabel("shots")
        axes.set_xlim(left=0)
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    left.set_ylim(bottom=0)
    left.set_ylabel("processor seconds a query")
    right.set_yscale("log")
    figure.savefig(path, dpi=110)


def run(arguments: argparse.Namespace) -> str:
    """Checks the arguments and runs the comparison.

    Returns:
        The report.
    """
    if arguments.size not in sizes.SIZES:
        raise UserError(f"--size: {arguments.size!r} is none of {', '.join(sizes.SIZES)}")
    for name, least in (("rounds", 1), ("threads", 1), ("batch", 1), ("new_tokens", 2)):
        if getattr(arguments, name) < least:
            flag = name.replace("_", "-")
            raise UserError(f"--{flag} is {getattr(arguments, name)}: expected at least {least}")
    if min(*arguments.shots, arguments.ranking_shots) < 0:
        raise UserError("--shots and --ranking-shots: expected numbers from 0 on")
    if arguments.torch_python is None or not os.access(arguments.torch_python, os.X_OK):
        raise UserError(
            f"--torch-python is {arguments.torch_python}: expected a Python with torch 2.13.0 and"
            " transformers (see `python -m benchmarks.train_step --help`)"
        )
    with tempfile.TemporaryDirectory() as folder:
        preload = None if arguments.stock_torch else compile_library(Path(folder))
        table, memory = measure(arguments, preload, Path(folder))
    if arguments.plot is not None:
        draw(table, arguments.batch, arguments.plot)
    peaks = ", ".join(f"{name} {peak / 1e6:.0f} MB" for name, peak in memory.items())
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"Size {arguments.size}, batch {arguments.batch}, {arguments.new_tokens} new tokens,"
        f" {arguments.threads} threads\n\n"
        f"{report(table, arguments.new_tokens, arguments.ranking_shots)}\n\n"
        f"Peak memory: {peaks}. Load of the machine over 1, 5 and 15 minutes: {load}."
    )


def main() -> None:
    """Runs the comparison and prints its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torch-python", type=Path, default=None, help="the peer's interpreter")
    parser.add_argument("--size", default="M", help="one of " + ", ".join(sizes.SIZES))
    parser.add_argument("--rounds", type=int, default=5, help="how often each work is timed")
    parser.add_argument("--threads", type=int, default=sizes.THREADS, help="of each competitor")
    parser.add_argument("--batch", type=int, default=4, help="prompts answered together")
    parser.add_argument(
        "--shots", type=int, nargs="+", default=SHOTS, help="of the answers, one or more numbers"
    )
    parser.add_argument("--new-tokens", type=int, default=20, help="of every answer")
    parser.add_argument("--ranking-shots", type=int, default=16, help="shots of the ranking")
    parser.add_argument("--stock-torch", action="store_true", help="leave MKL's vendor check on")
    parser.add_argument("--plot", type=Path, default=None, help="where to draw time over shots")
    arguments = parser.parse_args()
    try:
        print(run(arguments))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR_EXIT_CODE)


if __name__ == "__main__":
    main()
