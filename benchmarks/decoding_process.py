"""What competitors in decoding share: the prompts, the answers asked for, and the process.

Only the standard library and numpy are imported: the peer's environment has no jax, ours no torch.
Shape letters: B prompts, T tokens of a prompt, I pictures, R visual tokens, L tokens of an answer.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks import sizes
from benchmarks.live_process import MEMORY, peak_memory
from benchmarks.sizes import Size

SHOT_TOKENS = 20
QUERY_TOKENS = 8
TEXT_EXAMPLES = 2
"""Examples without pictures of a prompt without shots (paper, section 4.2)."""
BEAMS = 3
GREEDY, BEAM, RANK, RANK_FULL = "greedy", "beam", "rank", "rank_full"
NUM_CLASSES = 1000
CLASSES_IN_FULL = 16
"""Classes whose full prompts are scored; the others would cost the same each."""
MAX_CLASS_TOKENS = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prompts:
    """Prompts of one length.

    Attributes:
        text: int32 [B, T].
        picture: int32 [B, T], phi: the picture that a token sees, 0 for none.
        latents: float32 [B, I, R, vision_width], random numbers in place of a resampler's.
    """

    text: np.ndarray
    picture: np.ndarray
    latents: np.ndarray


def prompts(size: Size, shots: int, count: int) -> Prompts:
    """Random prompts; without shots they begin with text-only examples."""
    random = np.random.default_rng(sizes.SEED)
    before = [number + 1 for number in range(shots)] or [0] * TEXT_EXAMPLES
    picture_T = [phi for phi in before for _ in range(SHOT_TOKENS)] + [shots + 1] * QUERY_TOKENS
    text = random.integers(4, size.vocabulary, (count, len(picture_T)), np.int32)
    shape = (count, shots + 1, size.latents, size.vision_width)
    return Prompts(
        text=text,
        picture=np.tile(np.array(picture_T, np.int32), (count, 1)),
        latents=random.standard_normal(shape, np.float32),
    )


def classes(size: Size) -> list[tuple[int, ...]]:
    """Names of classes, 2 to 5 tokens with the last one that ends an answer; some begin alike."""
    random = np.random.default_rng(sizes.SEED)
    heads = random.integers(4, size.vocabulary, NUM_CLASSES // 2).tolist()
    names: dict[tuple[int, ...], None] = {}
    while len(names) < NUM_CLASSES:
        rest = random.integers(4, size.vocabulary, random.integers(0, MAX_CLASS_TOKENS - 1))
        names[(int(random.choice(heads)), *map(int, rest))] = None
    return list(names)


def arguments(argv: Sequence[str]) -> tuple[Size, int, int, int]:
    """SIZE THREADS BATCH NEW_TOKENS; binds the process to as many processors as threads."""
    name, *numbers = argv
    threads, batch, new_tokens = map(int, numbers)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    return sizes.SIZES[name], threads, batch, new_tokens


def serve(prepare: Callable[[str, int], Callable[[], int]]) -> None:
    """Obeys orders until standard input ends.

    An order is "METHOD SHOTS" or `MEMORY`. The first order of its kind is taken once more before,
    which is not timed: it compiles.

    Args:
        prepare: (method, shots) -> a function that does the work, waits for its end and returns how
            many tokens or classes that were.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(**values: float) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    answer(ready=1)
    works: dict[str, Callable[[], int]] = {}
    for line in sys.stdin:
        order = line.strip()
        if order == MEMORY:
            answer(peak_bytes=peak_memory())
            continue
        if order not in works:
            method, shots = order.split()
            works[order] = prepare(method, int(shots))
            works[order]()
        start, cpu_start = time.perf_counter(), time.process_time()
        done = works[order]()
        cpu_seconds = time.process_time() - cpu_start
        answer(seconds=time.perf_counter() - start, cpu_seconds=cpu_seconds, done=done)
