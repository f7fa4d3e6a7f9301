"""What the video benchmarks with a training set share: queries and support of their examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import clip_files, records, sampling
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder
from flamingo_jax.evaluation.benchmarks.clip_files import ClipFiles

VIDEO = "video"
"""In an item's `details` where several clips may be of one video: which one."""

PlacedItem = tuple[str, Item]
"""An item behind its place in a file, for messages."""


def unique(items: Iterable[PlacedItem]) -> tuple[Item, ...]:
    """The items, in their order.

    Raises:
      UserError: two have the same id.
    """
    found: dict[str, Item] = {}
    for place, item in items:
        records.put_once(found, item.id, item, "id", place)
    return tuple(found.values())


def answered(items: Iterable[PlacedItem]) -> tuple[Item, ...]:
    """As `unique`, where every item needs an answer.

    Raises:
      UserError: two have the same id, or one has no answer.
    """
    placed = list(items)
    for place, item in placed:
        if not item.answers:
            raise UserError(f"{place} has no answer or caption")
    return unique(placed)


def assemble(
    here: BenchmarkFolder,
    split: str,
    own_split: str,
    *,
    training: Sequence[Item],
    read_queries: Callable[[], Sequence[Item]],
    query_clips: ClipFiles,
    support_clips: ClipFiles,
) -> Benchmark:
    """The benchmark: its own queries, or those drawn from the training set.

    Args:
      here: the benchmark's folder.
      split: what was asked for.
      own_split: what the benchmark calls it, unless it is `sampling.VALIDATION`.
      training: all examples of the training set; those without an answer are no shots.
      read_queries: reads the queries of `own_split`.
      query_clips: the clips of what is asked; those of the training set for the validation.
      support_clips: the clips of the training set.

    Raises:
      UserError: there are no queries or no training examples; what `read_queries` raises.
    """
    missing = clip_files.missing_clips(here)
    training = [item for item in present(training, missing) if item.answers]
    slices = sampling.draw(here.origin.name, split, [_video(item) for item in training])
    if split == sampling.VALIDATION:
        own_split = split
        queries: Sequence[Item] = [training[row] for row in slices.queries]
    else:
        queries = present(read_queries(), missing)
    if not queries:
        raise UserError(f"{here.origin.name}: there is nothing to ask in {own_split!r}")
    return Benchmark(
        name=here.origin.name,
        split=own_split,
        queries=tuple(queries),
        support=tuple(training[row] for row in slices.support),
        query_media=query_clips,
        support_media=support_clips,
    )


def present(items: Iterable[Item], missing: frozenset[str]) -> list[Item]:
    """The items whose clips are not said to be missing."""
    return [item for item in items if not clip_files.is_named(item.medium, missing)]


def _video(item: Item) -> str:
    return str(item.details.get(VIDEO, item.medium))
