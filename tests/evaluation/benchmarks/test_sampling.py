"""Slices of training sets: the same in every run, balanced where asked for, and disjoint."""

from __future__ import annotations

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import sampling
from flamingo_jax.evaluation.benchmarks.sampling import TEST, VALIDATION, draw, draw_balanced

# Three questions about each of 3,000 pictures, in turns.
MEDIA = [f"{number % 3_000}.jpg" for number in range(9_000)]


def _media(places: tuple[int, ...]) -> set[str]:
    return {MEDIA[place] for place in places}


def test_the_three_slices_have_the_papers_sizes_and_share_no_picture() -> None:
    test = draw("okvqa", TEST, MEDIA)
    validation = draw("okvqa", VALIDATION, MEDIA, num_queries=300)
    assert len(test.support) == 2_048 and test.queries == ()
    assert len(validation.queries) == 300
    # Pictures of 2,048 of 9,000 questions are more than half of all: fewer are left than wanted.
    assert len(validation.support) > 1_500
    slices = [_media(s) for s in (test.support, validation.support, validation.queries)]
    assert not slices[0] & slices[1] and not slices[0] & slices[2] and not slices[1] & slices[2]


def test_slices_follow_the_benchmark_and_the_split_and_nothing_else() -> None:
    assert draw("okvqa", TEST, MEDIA) == draw("okvqa", TEST, MEDIA)
    assert draw("okvqa", VALIDATION, MEDIA) == draw("okvqa", VALIDATION, MEDIA)
    assert draw("okvqa", TEST, MEDIA) != draw("vqav2", TEST, MEDIA)
    # The support of a benchmark's other splits is that of the test.
    assert draw("okvqa", "val", MEDIA) == draw("okvqa", TEST, MEDIA)


def test_support_is_shuffled_and_queries_are_in_order() -> None:
    found = draw("coco", VALIDATION, [str(number) for number in range(10_000)], 5_000)
    assert len(found.queries) == 5_000 and list(found.queries) == sorted(found.queries)
    assert list(found.support) != sorted(found.support)
    # A random part of all, not a run of them.
    assert max(found.support) > 9_900 and min(found.support) < 100


@pytest.mark.parametrize("count", [2, 5, 100, 3_000])
def test_a_small_training_set_is_shared_out(count: int) -> None:
    media = [str(number) for number in range(count)]
    test = draw("textvqa", TEST, media)
    assert len(test.support) == min(count, 2_048)
    validation = draw("textvqa", VALIDATION, media)
    assert 1 <= len(validation.queries) <= 1_024
    assert len(validation.support) >= len(validation.queries)
    assert not set(validation.support) & set(validation.queries)
    assert len(validation.support) + len(validation.queries) == count


def test_without_queries_the_validation_is_support_alone() -> None:
    found = draw("visdial", VALIDATION, ["a", "b", "c"], num_queries=0)
    assert sorted(found.support) == [0, 1, 2] and found.queries == ()


def test_an_empty_training_set_is_refused() -> None:
    with pytest.raises(UserError, match="coco: its training set has no examples"):
        draw("coco", TEST, [])


def test_queries_are_drawn_in_the_order_of_their_ids() -> None:
    ids = [f"{number:03d}" for number in range(100)]
    found = sampling.draw_queries("visdial", VALIDATION, ids, 10)
    assert len(found) == 10 and found == sorted(found) and found != ids[:10]
    assert sampling.draw_queries("visdial", VALIDATION, ids, 1_000) == ids


CLASSES = [[f"{label}/{number}" for number in range(100 + label)] for label in range(4)]


def test_every_class_gives_as_many_and_slices_are_disjoint() -> None:
    test = draw_balanced("imagenet", TEST, CLASSES)
    validation = draw_balanced("imagenet", VALIDATION, iter(CLASSES))
    assert test.queries == ()
    for slice_, size in ((test.support, 32), (validation.support, 32), (validation.queries, 10)):
        for label in range(4):
            members = [member for of, member in slice_ if of == label]
            assert len(set(members)) == size
            assert all(member.startswith(f"{label}/") for member in members)
    assert len({*test.support, *validation.support, *validation.queries}) == 4 * (32 + 32 + 10)
    assert draw_balanced("imagenet", TEST, CLASSES) == test


def test_any_first_part_of_a_balanced_support_is_balanced() -> None:
    support = draw_balanced("imagenet", TEST, CLASSES).support
    for shots in (1, 5):
        labels = [label for label, _ in support[: shots * 4]]
        assert sorted(labels) == sorted(list(range(4)) * shots)


def test_small_classes_are_shared_out() -> None:
    found = draw_balanced("imagenet", VALIDATION, [["a", "b"], ["c", "d", "e"], ["f"]])
    assert [label for label, _ in found.queries] == [0, 1, 2]
    assert len({*found.queries, *found.support}) == 6
    assert draw_balanced("imagenet", TEST, [["a"], ["c", "d"]]).support[0] == (0, "a")


def test_an_unknown_split_is_refused() -> None:
    sampling.check_split("vqav2", "val", "val")
    with pytest.raises(UserError, match="vqav2: there is no split 'train'; the splits are"):
        sampling.check_split("vqav2", "train", "val")
