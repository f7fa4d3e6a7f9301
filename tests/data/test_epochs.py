"""The order of a finite dataset over its epochs."""

from __future__ import annotations

from flamingo_jax.data import epochs

SIZE = 50


def _epoch(number: int, seed: int = 0) -> list[int]:
    first = number * SIZE
    return [
        epochs.example_at(position, SIZE, seed, "text/documentation", "train")
        for position in range(first, first + SIZE)
    ]


def test_every_epoch_has_every_example_once() -> None:
    for number in (0, 1, 7):
        assert sorted(_epoch(number)) == list(range(SIZE))


def test_epochs_differ_runs_agree_and_seeds_differ() -> None:
    orders = [_epoch(number) for number in range(6)]
    assert len({tuple(order) for order in orders}) == 6
    assert list(range(SIZE)) not in orders
    epochs._permutation.cache_clear()
    assert _epoch(2) == orders[2]
    assert _epoch(2, seed=1) != orders[2]


def test_any_position_is_reached_at_once() -> None:
    far = 10**12 * SIZE
    found = {
        epochs.example_at(far + place, SIZE, 0, "text/documentation", "train")
        for place in range(SIZE)
    }
    assert found == set(range(SIZE))
