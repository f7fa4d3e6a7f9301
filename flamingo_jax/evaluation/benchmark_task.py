"""How each benchmark of the paper is asked: prompt, decoding, measure, frames, most shots.

The table holds what the paper says (section 4.2, table 6, appendix A.2); files are the business of
`benchmarks/`, and all that runs is the same for all of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from flamingo_jax.core.errors import UserError

GENERATE = "generate"
RANK_SHARED = "rank_shared"
RANK_OWN = "rank_own"

CLIP_FRAMES = 30
CLIP_FRAMES_PER_SECOND = 3.0
"""Frames of a clip: 30 at 3 a second, more than in training; time embeddings are interpolated."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkTask:
    """How one benchmark is asked.

    Attributes:
      template: what stands between a picture's tag and the answer, with `{question}` and
        `{history}` of the item.
      decode: `GENERATE` (open-ended, beam search), `RANK_SHARED` (log-likelihood of candidates that
        all queries share) or `RANK_OWN` (of each query's own candidates).
      metric: a key of `benchmark_scoring.METRICS`.
      max_new_tokens: of an open answer, `<EOC>` included. (The paper does not say; OpenFlamingo has
        20 for captions and 5 for answers.)
      num_frames: 1 for pictures.
      frames_per_second: at which frames are taken.
      most_shots: how many shots it is asked with at most; None: as many as are wanted.
      limit: why, where there is one.
      is_balanced: whether random shots are dealt evenly over the classes.
    """

    template: str
    decode: str
    metric: str
    max_new_tokens: int = 0
    num_frames: int = 1
    frames_per_second: float = 1.0
    most_shots: int | None = None
    limit: str = ""
    is_balanced: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the answer is generated, so that 0 shots take two text-only examples."""
        return self.decode == GENERATE

    @property
    def protocol(self) -> dict[str, Any]:
        """What answers and numbers depend on, for the headers of predictions."""
        fields = dataclasses.asdict(self)
        del fields["most_shots"], fields["limit"]
        return fields


_OUTPUT = "Output:"
_QUESTION = "Question: {question} Answer:"

_CAPTION = BenchmarkTask(template=_OUTPUT, decode=GENERATE, metric="cider", max_new_tokens=32)
_VQA = BenchmarkTask(template=_QUESTION, decode=GENERATE, metric="vqa_accuracy", max_new_tokens=10)
_CLASSES = BenchmarkTask(
    template=_OUTPUT, decode=RANK_SHARED, metric="accuracy", is_balanced=True
)  # fmt: skip


def _of_clips(task: BenchmarkTask, metric: str) -> BenchmarkTask:
    return dataclasses.replace(
        task,
        metric=metric,
        num_frames=CLIP_FRAMES,
        frames_per_second=CLIP_FRAMES_PER_SECOND,
    )


TASKS: Mapping[str, BenchmarkTask] = {
    "coco": _CAPTION,
    "flickr30k": _CAPTION,
    "vqav2": _VQA,
    "okvqa": _VQA,
    "vizwiz": dataclasses.replace(_VQA, metric="vizwiz_accuracy"),
    "textvqa": _VQA,
    "visdial": BenchmarkTask(
        template="{history} " + _QUESTION,
        decode=RANK_OWN,
        metric="ndcg",
    ),
    "hateful_memes": BenchmarkTask(
        template='is an image with written: "{question}" on it. Is it hateful? Answer:',
        decode=RANK_SHARED,
        metric="roc_auc",
        is_balanced=True,
    ),
    "imagenet": _CLASSES,
    "kinetics700": _of_clips(_CLASSES, "mean_top1_top5"),
    "vatex": _of_clips(_CAPTION, "cider"),
    "msvdqa": _of_clips(_VQA, "exact_match"),
    "msrvttqa": _of_clips(_VQA, "exact_match"),
    "youcook2": _of_clips(_CAPTION, "cider"),
    "ivqa": _of_clips(_VQA, "ivqa_accuracy"),
    "rareact": dataclasses.replace(
        _of_clips(_CLASSES, "mwap"),
        template="Caption:",
        most_shots=0,
        limit="it has no training set to take shots from",
        is_balanced=False,
    ),
    "nextqa": _of_clips(_VQA, "wups"),
    "star": dataclasses.replace(_of_clips(_VQA, "accuracy"), decode=RANK_OWN, max_new_tokens=0),
}
"""The paper's benchmarks by name."""


def find_task(name: str) -> BenchmarkTask:
    """The row of a benchmark.

    Raises:
      UserError: there is none of that name.
    """
    if name not in TASKS:
        raise UserError(f"config.tasks: there is no task {name!r}; there are {', '.join(TASKS)}")
    return TASKS[name]


def shots_to_ask(name: str, shots: tuple[int, ...]) -> tuple[tuple[int, ...], str]:
    """The numbers of shots that a benchmark is asked with.

    Args:
      name: of the benchmark.
      shots: the numbers that are wanted.

    Returns:
      The numbers, none above the most that it takes, and what to tell of those that were: a line,
      or an empty text.
    """
    task = find_task(name)
    most = max(shots) if task.most_shots is None else task.most_shots
    too_many = [number for number in shots if number > most]
    asked = tuple(dict.fromkeys(min(number, most) for number in shots))
    if not too_many:
        return asked, ""
    instead = ", ".join(map(str, too_many))
    return asked, f"{name}: {most} shots instead of {instead}: {task.limit}"
