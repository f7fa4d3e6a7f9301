"""Generators follow from seed, stream, split and number, all four, and from nothing else."""

from __future__ import annotations

from flamingo_jax.data import seeds


def test_equal_arguments_give_equal_numbers() -> None:
    first = seeds.generator(3, "world/pages", "train", 7).random(8)
    seeds.generator(3, "world/pages", "train", 8).random(8)
    assert (first == seeds.generator(3, "world/pages", "train", 7).random(8)).all()


def test_every_argument_counts() -> None:
    arguments = [
        (3, "world/pages", "train", 7),
        (4, "world/pages", "train", 7),
        (3, "world/pages", "train", 8),
        (3, "world/pages", "test", 7),
        # Names with a long common beginning are as different as any others.
        (3, "world/pages/p_next", "train", 7),
        (3, "world/clips", "train", 7),
        (3, "world/clean_pairs", "train", 7),
    ]
    drawn = {seeds.generator(*values).random() for values in arguments}
    assert len(drawn) == len(arguments)
