"""Which shots a query gets: seeded by its id, balanced over classes, never its own picture."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.evaluation.benchmarks.benchmark import Benchmark, Item
from flamingo_jax.evaluation.support_selection import Support

NUM_CLASSES, PER_CLASS = 5, 4


class NoMedia:
    def read(self, name: str) -> EncodedImage:
        raise AssertionError(f"{name} is not needed to choose shots")


def example(number: int, medium: str = "") -> Item:
    label = number % NUM_CLASSES
    return Item(
        id=f"s{number}", medium=medium or f"train/{number}.jpg", label=label, answers=(str(label),)
    )


QUERY = Item(id="q7", medium="val/7.jpg", label=2, answers=("2",))


def benchmark(support: Sequence[Item], name: str = "imagenet") -> Benchmark:
    return Benchmark(
        name=name, split="val", queries=(QUERY,), support=tuple(support), query_media=NoMedia(),
        support_media=NoMedia(),
    )  # fmt: skip


SUPPORT = [example(number) for number in range(NUM_CLASSES * PER_CLASS)]


def test_random_shots_depend_on_seed_task_and_query_alone() -> None:
    support = Support(benchmark(SUPPORT), 0, is_balanced=False)
    chosen = support.choose(QUERY, 6, "random", 3)
    assert len(set(chosen)) == 6
    # Whatever was chosen before, and by whom.
    support.choose(dataclasses.replace(QUERY, id="q8"), 6, "random", 3)
    assert support.choose(QUERY, 6, "random", 3) == chosen
    assert Support(benchmark(SUPPORT), 0, is_balanced=False).choose(QUERY, 6, "random", 3) == chosen
    others = {
        support.choose(QUERY, 6, "random", 4),
        support.choose(dataclasses.replace(QUERY, id="q8"), 6, "random", 3),
        Support(benchmark(SUPPORT, "coco"), 0, is_balanced=False).choose(QUERY, 6, "random", 3),
    }
    assert len(others) == 3 and chosen not in others


@pytest.mark.parametrize("shots", [1, 2, 5, 7, 20])
def test_balanced_shots_come_evenly_from_the_classes(shots: int) -> None:
    support = Support(benchmark(SUPPORT), 0, is_balanced=True)
    firsts = set()
    for number in range(20):
        chosen = support.choose(dataclasses.replace(QUERY, id=str(number)), shots, "random", 0)
        assert len(set(chosen)) == shots
        count = collections.Counter(SUPPORT[row].label for row in chosen)
        assert max(count.values()) - min(count[label] for label in range(NUM_CLASSES)) <= 1
        firsts.add(SUPPORT[chosen[0]].label)
    # Fewer shots than classes: any class may be among them, and any may be the first.
    assert len(firsts) == NUM_CLASSES


def test_classes_that_run_out_leave_their_share_to_others() -> None:
    few = [example(0), *(example(number) for number in (1, 6, 11, 16))]
    chosen = Support(benchmark(few), 0, is_balanced=True).choose(QUERY, 4, "random", 0)
    assert sorted(few[row].label for row in chosen) == [0, 1, 1, 1]


def test_rices_puts_the_nearest_last() -> None:
    support = Support(benchmark(SUPPORT), 0, is_balanced=True)
    similarity_S = np.linspace(0, 1, len(SUPPORT))
    similarity_S[3] = 2.0
    assert support.choose(QUERY, 3, "rices", 0, similarity_S) == (18, 19, 3)
    assert support.choose(QUERY, 3, "rices", 1, similarity_S) == (18, 19, 3)


@pytest.mark.parametrize("selection", ["random", "rices"])
def test_the_query_s_own_picture_is_never_a_shot(selection: str) -> None:
    own = [example(number, QUERY.medium) for number in (5, 11)]
    others = [example(number) for number in (0, 1, 2)]
    support = Support(benchmark([own[0], *others, own[1]]), 0, is_balanced=True)
    similarity_S = np.array([1.0, 0.1, 0.2, 0.3, 1.0])
    for seed in range(10):
        chosen = support.choose(QUERY, 3, selection, seed, similarity_S)
        assert sorted(chosen) == [1, 2, 3]
        assert set(support.text_examples(QUERY, seed)) <= {1, 2, 3}
    with pytest.raises(UserError, match="4 shots are asked for, but its support has 3 examples"):
        support.choose(QUERY, 4, selection, 0, similarity_S)


def test_another_part_of_the_query_s_video_is_no_shot() -> None:
    query = dataclasses.replace(QUERY, medium="clips/v_0_10", details={"video": "v"})
    parts = [
        dataclasses.replace(example(0, "clips/v_20_30"), details={"video": "v"}),
        dataclasses.replace(example(1, "clips/w_20_30"), details={"video": "w"}),
    ]
    support = Support(benchmark(parts), 0, is_balanced=False)
    assert support.choose(query, 1, "random", 0) == (1,)


def test_num_support_takes_the_first_examples() -> None:
    support = Support(benchmark(SUPPORT), 5, is_balanced=True)
    assert [item.id for item in support.items] == ["s0", "s1", "s2", "s3", "s4"]


def test_orders_for_ensembling_are_permutations_of_the_shots() -> None:
    support = Support(benchmark(SUPPORT), 0, is_balanced=True)
    assert support.orders(QUERY, 4, 1, 0).tolist() == [[0, 1, 2, 3]]
    orders = support.orders(QUERY, 4, 6, 0)
    assert orders.shape == (6, 4) and len({tuple(order) for order in orders}) > 1
    assert (np.sort(orders, axis=1) == np.arange(4)).all()
    assert (support.orders(QUERY, 4, 6, 0) == orders).all()
    assert (support.orders(QUERY, 4, 6, 1) != orders).any()
