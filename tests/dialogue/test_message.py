"""Lines that name files."""

from __future__ import annotations

from pathlib import Path

import pytest

from flamingo_jax.dialogue.message import File, parse_message
from tests.dialogue import tiny


def _names(line: str) -> list[str]:
    """Text as it is, files in brackets."""
    return [item if isinstance(item, str) else f"[{item.name}]" for item in parse_message(line)]


@pytest.mark.parametrize(
    ("line", "items"),
    [
        ("what is this?", ["what is this?"]),
        ("what is in photos/cat.jpg ?", ["what is in", "[photos/cat.jpg]", "?"]),
        ("what is in photos/cat.JPG?", ["what is in", "[photos/cat.JPG]", "?"]),
        ("<photos/my cat> and <b.png>: same?", ["[photos/my cat]", "and", "[b.png]", ": same?"]),
        ('look at "my cat.jpg", please', ["look at", "[my cat.jpg]", ", please"]),
        ('he said "no" and it\'s fine', ['he said "no" and it\'s fine']),
        ("cat.jpg dog.mp4", ["[cat.jpg]", "[dog.mp4]"]),
        ("is 3 < 4 or 4 > 3 ?", ["is 3 < 4 or 4 > 3 ?"]),
        ("a < b", ["a < b"]),
        ("", []),
        ("notes.txt is no picture", ["notes.txt is no picture"]),
    ],
)
def test_files_are_found_in_the_text(line: str, items: list[str]) -> None:
    assert _names(line) == items


def test_a_file_without_an_ending_is_known_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cat").write_bytes(tiny.png())
    (tmp_path / "this").write_text("words")
    monkeypatch.chdir(tmp_path)
    assert parse_message("is this cat?") == ["is this", File(Path("cat"), "cat"), "?"]


def test_home_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert parse_message("~/a.png") == [File(Path("/home/somebody/a.png"), "~/a.png")]
