"""Counting what cannot be used, and stopping when it is too much."""

from __future__ import annotations

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import FEWEST_TO_JUDGE, BadSample, Reason, Tally


def _count(tally: Tally, num_read: int, *refused: Reason) -> None:
    for _ in range(num_read):
        tally.count_read()
    for number, reason in enumerate(refused):
        tally.count_refused(BadSample(reason, f"0.tar: {number}", "why"))


def test_a_reason_counts_under_its_name() -> None:
    tally = Tally("mine", 1.0)
    _count(tally, 7, Reason.EMPTY_FILE, Reason.NOT_UTF8, Reason.EMPTY_FILE)
    assert tally.metrics() == {
        "data/mine/read": 7,
        "data/mine/refused/empty_file": 2,
        "data/mine/refused/not_utf8": 1,
    }


def test_too_many_bad_ones_stop_the_run_with_all_that_is_known() -> None:
    tally = Tally("mine", 0.1)
    _count(tally, 100, *[Reason.NOT_UTF8] * 8, Reason.TRUNCATED_IMAGE, Reason.NO_IMAGE)
    with pytest.raises(UserError) as error:
        _count(tally, 0, Reason.NO_IMAGE)
    message = str(error.value)
    assert "dataset 'mine': 11 of 100 examples are bad" in message
    assert "(not_utf8 8, no_image 2, truncated_image 1)" in message
    assert "the first is 0.tar: 0: not_utf8 (why)" in message
    assert "max_bad_share 0.1" in message


def test_the_first_few_examples_do_not_decide() -> None:
    tally = Tally("mine", 0.5)
    _count(tally, 1, *[Reason.NO_IMAGE] * (FEWEST_TO_JUDGE // 2))
    with pytest.raises(UserError):
        _count(tally, 0, Reason.NO_IMAGE)


def test_what_the_config_leaves_out_is_not_bad() -> None:
    tally = Tally("mine", 0.0)
    _count(tally, 1, *[Reason.LOW_SIMILARITY, Reason.SINGLE_IMAGE] * 500)
    assert tally.metrics()["data/mine/refused/low_similarity"] == 500
    with pytest.raises(UserError, match="1 of 1 examples are bad"):
        _count(tally, 0, Reason.NO_IMAGE)
