"""Checked fields of records."""

from __future__ import annotations

from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.benchmarks import records

PLACE = "walls: 'a.json' images[3]"


def test_texts_lose_nul_and_outer_white_space() -> None:
    assert records.text({"said": " a  wall\0\n"}, "said", PLACE) == "a  wall"
    assert records.optional_texts({"a": "x ", "c": 1}, ("a", "b"), PLACE) == {"a": "x"}


def test_ids_are_the_same_as_numbers_and_texts() -> None:
    assert records.identifier({"id": 42}, "id", PLACE) == "42"
    assert records.identifier({"id": "042"}, "id", PLACE) == "042"
    assert records.coco_number({"id": "000000000042"}, "id", PLACE) == 42
    assert records.whole_number({"label": 1}, "label", 2, PLACE) == 1
    assert records.number(0.5, "relevance", PLACE) == 0.5


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (lambda record: records.text(record, "x", PLACE), 5),
        (lambda record: records.text(record, "x", PLACE), "half \ud83d"),
        (lambda record: records.text(record, "y", PLACE), "the field is missing"),
        (lambda record: records.items(record, "x", PLACE), {}),
        (lambda record: records.items([record], "x", PLACE), []),
        (lambda record: records.identifier(record, "x", PLACE), None),
        (lambda record: records.identifier(record, "x", PLACE), True),
        (lambda record: records.identifier(record, "x", PLACE), 4.0),
        (lambda record: records.identifier(record, "x", PLACE), ""),
        (lambda record: records.coco_number(record, "x", PLACE), -4),
        (lambda record: records.coco_number(record, "x", PLACE), "../1"),
        (lambda record: records.coco_number(record, "x", PLACE), 10**12),
        (lambda record: records.whole_number(record, "x", 2, PLACE), 2),
        (lambda record: records.whole_number(record, "x", 2, PLACE), -1),
        (lambda record: records.whole_number(record, "x", 2, PLACE), True),
        (lambda record: records.whole_number(record, "x", 2, PLACE), "1"),
        (lambda record: records.number(record["x"], "x", PLACE), float("nan")),
        (lambda record: records.number(record["x"], "x", PLACE), "0.5"),
        (lambda record: records.number(record["x"], "x", PLACE), 10**400),
        (lambda record: records.number(record["x"], "x", PLACE), float("-inf")),
        (lambda record: records.number(record["x"], "x", PLACE, least=0), -0.5),
        (lambda record: list(records.objects([record["x"]], PLACE)), 7),
    ],
)
def test_a_wrong_value_is_told_with_its_place(check: Any, value: Any) -> None:
    with pytest.raises(UserError) as caught:
        check({"x": value})
    said = str(caught.value)
    assert said.startswith(PLACE) and "\n" not in said
    said.encode()


def test_a_second_one_of_an_id_is_refused() -> None:
    table: dict[str, int] = {}
    records.put_once(table, "7", 1, "id", PLACE)
    with pytest.raises(UserError, match="the id '7' comes a second time"):
        records.put_once(table, "7", 1, "id", PLACE)
