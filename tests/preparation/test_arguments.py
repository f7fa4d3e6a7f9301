"""Arguments of the commands: what is wrong is one line that names the argument."""

from __future__ import annotations

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.preparation.arguments import ArgumentParser, above_zero, at_least, share
from flamingo_jax.preparation.named import check_name


@pytest.fixture
def parser() -> ArgumentParser:
    parser = ArgumentParser("cook", "Cooks.", "--number=1")
    parser.add_argument("--number", type=at_least(1))
    parser.add_argument("--share", type=share)
    parser.add_argument("--seconds", type=above_zero)
    return parser


def test_numbers_are_read(parser: ArgumentParser) -> None:
    given = parser.parse_args(["--number=1_000", "--share=1", "--seconds=0.5"])
    assert (given.number, given.share, given.seconds) == (1000, 1.0, 0.5)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--number=0", "cook: argument --number: '0': expected a whole number, 1 or more"),
        ("--number=1.5", "expected a whole number, 1 or more"),
        ("--number=x", "expected a whole number, 1 or more"),
        ("--share=1.1", "expected a number from 0 to 1"),
        ("--share=nan", "expected a number from 0 to 1"),
        ("--seconds=0", "expected a number above 0"),
        ("--seconds=inf", "expected a number above 0"),
        ("--numb=1", "unrecognized arguments: --numb=1"),
    ],
)
def test_wrong_ones_are_refused(parser: ArgumentParser, argument: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        parser.parse_args([argument])
    assert said in str(caught.value)
    assert str(caught.value).endswith("see `python -m flamingo_jax.prepare cook --help`")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("appel", "--fruit=appel does not exist: did you mean 'apple'?"),
        ("zzz", "--fruit=zzz does not exist: expected apple or pear"),
    ],
)
def test_the_nearest_name_is_proposed(name: str, said: str) -> None:
    check_name("--fruit=pear", "pear", ["apple", "pear"])
    with pytest.raises(UserError) as caught:
        check_name(f"--fruit={name}", name, ["apple", "pear"])
    assert str(caught.value) == said
