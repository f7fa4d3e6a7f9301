"""Files of groups, joined with scores by id."""

from __future__ import annotations

from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.evaluation.official_formats.groups import join_groups

SCORED = ((7, 70.0), ("b", 20.0), (1, 10.0), (3, 30.0))


def _write(folder: Path, content: str) -> str:
    (folder / "groups.json").write_text(content)
    return str(folder / "groups.json")


def test_joined_by_id_in_the_order_of_the_scores(tmp_path: Path) -> None:
    path = _write(tmp_path, '{"1": "male", "b": "female", "7": "male", "99": "male"}')
    found = join_groups(path, SCORED)
    assert found.scores == (70.0, 20.0, 10.0)
    assert found.groups == ("male", "female", "male")
    assert found.warnings == (
        "1 of 4 scored items have no group",
        "1 of the 4 ids of --groups have not been scored",
    )
    assert join_groups(path, SCORED[:3] + ((99, 1.0),)).warnings == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"7": "a", "7": "b"}', "the id '7' comes twice"),
        ('{"7": 1}', "the group of '7' is 1"),
        ('["7"]', "not a list"),
        ("{", "not JSON"),
        ('{"2": "a"}', "none of its 1 ids has been scored"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        join_groups(_write(tmp_path, content), SCORED)


def test_ids_that_read_alike_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="7 and the text"):
        join_groups(_write(tmp_path, '{"7": "a"}'), (*SCORED, ("7", 1.0)))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        join_groups(str(tmp_path / "no.json"), SCORED)
