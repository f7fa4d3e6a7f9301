"""Times our training step beside those of public peers, on the same shapes, on CPU in float32.

    python -m benchmarks.train_step --torch-python=PATH [--sizes=S,M] [--rounds=15]

PATH is a Python with torch, transformers and numpy, for instance

    python -m venv peers && peers/bin/pip install torch==2.13.0 transformers==5.23.0 numpy
    python -m benchmarks.train_step --torch-python=peers/bin/python

Every competitor is a process of its own that stays alive; in every round each takes two steps (all
forward, backward and AdamW of resampler and cross-attention, with the language model frozen), of
which the second is timed, in an order that turns from round to round. "ratio" is ours over the
peer's time of the same round, its median over rounds. A share is (operations by formula / time of
the step) over the rate of the fastest matrix product of the same library in the same run. On a
machine that others use at the same time, the processor time with --threads=1 says more than the
clock.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import arithmetic, live_process, sizes
from benchmarks.live_process import LiveProcess
from benchmarks.peers.unlocked_mkl import compile_library
from benchmarks.sizes import Size
from flamingo_jax.core.errors import UserError

USER_ERROR_EXIT_CODE = 3
OURS, OURS_AS_IDEFICS = "ours", "ours with IDEFICS's heads"
OPEN_FLAMINGO, IDEFICS = "OpenFlamingo over GPT-NeoX", "Hugging Face IDEFICS"


# Large blocks of memory come in huge pages for all competitors; a run on CPU takes it from the
# environment in the same way.
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
# Ours keeps the memory that it frees (`core.host_memory`); these have any process do so.
KEPT_MEMORY = {
    "GLIBC_TUNABLES": HUGE_PAGES["GLIBC_TUNABLES"]
    + f":glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold={2**40}"
}


@dataclasses.dataclass(frozen=True)
class Competitor:
    """One process of the comparison.

    Attributes:
        module: what it runs.
        flops: operations of its step, by size.
        language_model_heads: whether its cross-attention has the heads of its language model.
        like: which of ours does the same work.
    """

    module: str
    flops: Callable[[Size], int]
    language_model_heads: bool
    like: str


def competitors(size: Size) -> dict[str, Competitor]:
    """Who competes at a size, ours first; ours comes twice where the peers differ in heads."""
    same = size == size.with_language_model_heads()
    ours = {OURS: Competitor("benchmarks.ours", arithmetic.ours, False, OURS)}
    if not same:
        ours[OURS_AS_IDEFICS] = Competitor(
            "benchmarks.ours", arithmetic.ours, True, OURS_AS_IDEFICS
        )
    idefics_like = OURS if same else OURS_AS_IDEFICS
    return ours | {
        OPEN_FLAMINGO: Competitor("benchmarks.peers.open_flamingo", arithmetic.peers, False, OURS),
        IDEFICS: Competitor("benchmarks.peers.idefics", arithmetic.peers, True, idefics_like),
    }


@dataclasses.dataclass(kw_only=True)
class Measured:
    """What is known of a competitor after a run.

    Attributes:
        seconds: of the step, a number a round.
        cpu_seconds: processor time of the step, of all threads together, a number a round.
        losses: of the first and of the last step, nats.
        peak_bytes: largest resident set.
        matmul: floating-point operations a second of the fastest product, a number each time.
        parameters: trainable and frozen, counts.
    """

    seconds: list[float]
    cpu_seconds: list[float]
    losses: tuple[float, float]
    peak_bytes: int
    matmul: list[float]
    parameters: tuple[int, int]


def run_size(
    name: str, rounds: int, threads: int, torch_python: Path, peers_environment: Mapping[str, str]
) -> dict[str, Measured]:
    """Runs all competitors at one size, side by side.

    Args:
        name: of the size.
        rounds: steps of each that are timed.
        threads: of each, and processors that it is bound to.
        torch_python: interpreter of the peers.
        peers_environment: variables of the peers' processes.

    Returns:
        What was measured, by competitor.
    """
    common = {"OMP_NUM_THREADS": str(threads)} | HUGE_PAGES
    ours_environment = {"JAX_PLATFORMS": "cpu"}
    processes: dict[str, LiveProcess] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        for index, (competitor, how) in enumerate(competitors(sizes.SIZES[name]).items()):
            is_peer = competitor != how.like
            python = str(torch_python) if is_peer else sys.executable
            environment = common | dict(peers_environment if is_peer else ours_environment)
            command = [python, "-m", how.module, name, str(threads)]
            command += [live_process.LANGUAGE_MODEL_HEADS] if how.language_model_heads else []
            process = LiveProcess(command, environment, Path(folder) / f"{index}.log")
            stack.callback(process.close)
            processes[competitor] = process

        answers: dict[str, list[dict[str, Any]]] = {competitor: [] for competitor in processes}
        matmul: dict[str, list[float]] = {competitor: [] for competitor in processes}
        order = list(processes)
        for _ in range(rounds):
            for competitor in order:
                answers[competitor].append(processes[competitor].order(live_process.STEP))
            order = order[1:] + order[:1]
        memory = {key: p.order(live_process.MEMORY)["peak_bytes"] for key, p in processes.items()}
        for _ in range(3):
            for competitor, process in processes.items():
                rate = process.order(live_process.MATMUL)["flops_per_second"]
                matmul[competitor].append(rate)
    return {
        competitor: Measured(
            seconds=[answer["seconds"] for answer in answers[competitor]],
            cpu_seconds=[answer["cpu_seconds"] for answer in answers[competitor]],
            losses=(process.description["loss"], answers[competitor][-1]["loss"]),
            peak_bytes=memory[competitor],
            matmul=matmul[competitor],
            parameters=(process.description["trainable"], process.description["frozen"]),
        )
        for competitor, process in processes.items()
    }


def paired_ratio(ours: Sequence[float], peer: Sequence[float]) -> tuple[float, float, float]:
    """Median of ours / peer over rounds, with the first and the third quartile around it."""
    ratios = [a / b for a, b in zip(ours, peer, strict=True)]
    if len(ratios) < 2:
        return ratios[0], ratios[0], ratios[0]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return middle, low, high


COLUMNS = (
    "competitor", "s/step", "ours / it (quartiles)", "CPU s/step", "ours / it", "peak MB",
    "GFLOP/step", "matmul GFLOP/s", "share of it", "trainable M", "total M", "loss first, last",
)  # fmt: skip


def report(name: str, measured: Mapping[str, Measured]) -> str:
    """The table of one size as Markdown, and the line that sums it up."""
    size = sizes.SIZES[name]
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    contestants = competitors(size)
    for competitor, result in measured.items():
        how = contestants[competitor]
        ours = measured[how.like]
        flops = how.flops(size.with_language_model_heads() if how.language_model_heads else size)
        seconds, matmul = statistics.median(result.seconds), max(result.matmul)
        trainable, frozen = result.parameters
        cells = (
            competitor,
            f"{seconds:.3f}",
            "{:.3f} ({:.3f} to {:.3f})".format(*paired_ratio(ours.seconds, result.seconds)),
            f"{statistics.median(result.cpu_seconds):.3f}",
            f"{paired_ratio(ours.cpu_seconds, result.cpu_seconds)[0]:.3f}",
            f"{result.peak_bytes / 1e6:.0f}",
            f"{flops / 1e9:.1f}",
            f"{matmul / 1e9:.0f}",
            f"{flops / seconds / matmul:.1%}",
            f"{trainable / 1e6:.2f}",
            f"{(trainable + frozen) / 1e6:.2f}",
            "{:.4f}, {:.4f}".format(*result.losses),
        )
        lines.append("| " + " | ".join(cells) + " |")
    peers = [key for key, how in contestants.items() if how.like != key]
    fastest = min(peers, key=lambda key: statistics.median(measured[key].seconds))
    ours, peer = measured[contestants[fastest].like], measured[fastest]
    lines.append(
        f"\nSize {name}: at the arithmetic of the fastest peer ({fastest}), ours takes"
        f" {paired_ratio(ours.seconds, peer.seconds)[0]:.3f} of its time and"
        f" {ours.peak_bytes / peer.peak_bytes:.3f} of its peak memory."
    )
    return "\n".join(lines)


def main() -> None:
    """Runs the comparison and prints its tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torch-python", type=Path, default=None, help="the peers' interpreter")
    parser.add_argument("--sizes", default="S,M", help="any of " + ", ".join(sizes.SIZES))
    parser.add_argument("--rounds", type=int, default=15, help="timed steps of each competitor")
    parser.add_argument("--threads", type=int, default=sizes.THREADS, help="of each competitor")
    parser.add_argument("--stock-torch", action="store_true", help="leave MKL's vendor check on")
    parser.add_argument(
        "--peers-keep-memory", action="store_true", help="the peers keep memory they free, as ours"
    )
    arguments = parser.parse_args()
    try:
        run(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(USER_ERROR_EXIT_CODE)


def run(arguments: argparse.Namespace) -> None:
    """Checks the arguments and runs the sizes one after the other."""
    names = arguments.sizes.split(",")
    for name in names:
        if name not in sizes.SIZES:
            raise UserError(f"--sizes: {name!r} is none of {', '.join(sizes.SIZES)}")
    if arguments.rounds < 1:
        raise UserError(f"--rounds is {arguments.rounds}: expected at least 1")
    if arguments.torch_python is None or not os.access(arguments.torch_python, os.X_OK):
        raise UserError(
            f"--torch-python is {arguments.torch_python}: expected a Python with torch 2.13.0 and"
            " transformers (see --help)"
        )
    with tempfile.TemporaryDirectory() as folder:
        environment = KEPT_MEMORY if arguments.peers_keep_memory else {}
        if not arguments.stock_torch:
            environment = environment | {"LD_PRELOAD": str(compile_library(Path(folder)))}
        for name in names:
            # Not resolved: a virtual environment's Python is a link, and must be called as one.
            python = arguments.torch_python.absolute()
            print(f"\n## Size {name}\n\n{sizes.SIZES[name]}\n")
            measured = run_size(name, arguments.rounds, arguments.threads, python, environment)
            print(report(name, measured), flush=True)


if __name__ == "__main__":
    main()
