"""Which training examples of a benchmark are support and which are validation queries.

The paper takes three slices of a training set: the support of the test, and support and queries
of the validation. They are drawn with fixed seeds, so that every run has the same ones, and share
no picture or clip.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

import numpy as np

from flamingo_jax.core.errors import UserError
from flamingo_jax.data import seeds

TEST = "test"
VALIDATION = "validation"

NUM_SUPPORT = 2_048
NUM_VALIDATION = 1_024
"""Validation queries of a task of questions."""

NUM_SUPPORT_PER_CLASS = 32
NUM_VALIDATION_PER_CLASS = 10

_SEED = 0

Member = TypeVar("Member")


def check_split(benchmark: str, split: str, *own: str) -> None:
    """Checks that there is such a split.

    Args:
      benchmark: its name, for messages.
      split: what was asked for.
      own: splits of this benchmark beside `TEST` and `VALIDATION`.

    Raises:
      UserError: there is none of that name.
    """
    known = (TEST, VALIDATION, *own)
    if split not in known:
        raise UserError(f"{benchmark}: there is no split {split!r}; the splits are {known}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Slices:
    """Places of training examples.

    Attributes:
      support: in random order, so that the first ones are a random part.
      queries: in the order of the training set; none for the test, whose queries are no training
        examples.
    """

    support: tuple[int, ...]
    queries: tuple[int, ...] = ()


def draw(
    benchmark: str, split: str, media: Sequence[str], num_queries: int = NUM_VALIDATION
) -> Slices:
    """Draws the support, and for the validation the queries.

    Args:
      benchmark: its name: different ones draw differently.
      split: `VALIDATION`, or another one for the test's support.
      media: the picture or clip of every training example.
      num_queries: of the validation; 0 where they come from elsewhere.

    Returns:
      Up to `NUM_SUPPORT` and `num_queries` places in `media`. The validation's are drawn from what
      the test's support leaves, unless there are too few examples for that; where there are too
      few even for the validation alone, support and queries are shares of them.

    Raises:
      UserError: there are too few examples to ask any.
    """
    everything = np.arange(len(media))
    of_test = _generator(benchmark, "support", TEST).permutation(everything)[:NUM_SUPPORT]
    if not len(media):
        raise UserError(f"{benchmark}: its training set has no examples to take shots from")
    if split != VALIDATION:
        return Slices(support=tuple(of_test.tolist()))
    needed = NUM_SUPPORT + num_queries
    pool = everything
    if len(media) >= NUM_SUPPORT + needed:
        pool = _without_media(pool, of_test, media)
    num_queries = min(num_queries, _share(len(pool), num_queries, needed))
    order = _generator(benchmark, "queries", split).permutation(pool)
    queries = np.sort(order[:num_queries])
    rest = _without_media(pool, queries, media)
    support = _generator(benchmark, "support", split).permutation(rest)[:NUM_SUPPORT]
    return Slices(support=tuple(support.tolist()), queries=tuple(queries.tolist()))


def draw_queries(benchmark: str, split: str, ids: Sequence[str], num_queries: int) -> list[str]:
    """Draws queries where they are no training examples like others; in the order of `ids`."""
    order = _generator(benchmark, "queries", split).permutation(len(ids))
    return [ids[place] for place in np.sort(order[:num_queries])]


def _without_media(places: np.ndarray, taken: np.ndarray, media: Sequence[str]) -> np.ndarray:
    """The places whose picture or clip is none of those at the places `taken`."""
    seen = {media[place] for place in taken}
    return np.array([place for place in places if media[place] not in seen], dtype=np.int64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BalancedSlices(Generic[Member]):
    """Members of classes, each with the number of its class.

    Attributes:
      support: one member of every class after another, so that the first k times as many as there
        are classes have k of each.
      queries: class by class; none for the test.
    """

    support: tuple[tuple[int, Member], ...]
    queries: tuple[tuple[int, Member], ...] = ()


def draw_balanced(
    benchmark: str,
    split: str,
    classes: Iterable[Sequence[Member]],
    num_queries: int = NUM_VALIDATION_PER_CLASS,
) -> BalancedSlices[Member]:
    """As `draw`, with as many of every class.

    Args:
      benchmark: its name.
      split: as in `draw`.
      classes: the members of each class; they are gone through once.
      num_queries: of the validation, for each class.

    Returns:
      Up to `NUM_SUPPORT_PER_CLASS` and `num_queries` of each class.
    """
    of_test = _generator(benchmark, "support", TEST)
    of_queries = _generator(benchmark, "queries", split)
    of_support = _generator(benchmark, "support", split)
    supports: list[list[tuple[int, Member]]] = []
    queries: list[tuple[int, Member]] = []
    needed = NUM_SUPPORT_PER_CLASS + num_queries
    for label, members in enumerate(classes):
        pool = of_test.permutation(len(members))
        chosen = pool[:NUM_SUPPORT_PER_CLASS]
        if split == VALIDATION:
            if len(members) >= NUM_SUPPORT_PER_CLASS + needed:
                pool = pool[NUM_SUPPORT_PER_CLASS:]
            count = min(num_queries, _share(len(pool), num_queries, needed))
            order = of_queries.permutation(pool)
            queries += [(label, members[place]) for place in np.sort(order[:count])]
            chosen = of_support.permutation(order[count:])[:NUM_SUPPORT_PER_CLASS]
        supports.append([(label, members[place]) for place in chosen])
    rounds = itertools.zip_longest(*supports)
    return BalancedSlices(
        support=tuple(member for some in rounds for member in some if member is not None),
        queries=tuple(queries),
    )


def _share(available: int, wanted: int, needed: int) -> int:
    """As many of the available ones as `wanted` is of `needed`; one at least, all at most."""
    return min(available, max(1, available * wanted // needed))


def _generator(benchmark: str, role: str, split: str) -> np.random.Generator:
    return seeds.generator(_SEED, f"benchmarks/{benchmark}/{role}", split, 0)
