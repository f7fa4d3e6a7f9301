"""Tokens as HTML: colours by phi, loss weights, and text that wants to be more than text."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

import numpy as np
import pytest

from flamingo_jax.data import schema, vocabulary
from flamingo_jax.preparation.preview import tokens

WORLD = vocabulary.load("world")


def row(text: Sequence[int], length: int = 64, **columns: Sequence[float]) -> dict[str, np.ndarray]:
    found = {schema.TEXT: np.zeros(length, np.int32)}
    found[schema.TEXT][: len(text)] = text
    for key, values in columns.items():
        found[key] = np.zeros(length, np.float32 if key == schema.LOSS_WEIGHT else np.int32)
        found[key][: len(values)] = values
    return found


def spans(page: str) -> list[tuple[str, str, str]]:
    """(classes, title, content) of every token."""
    found = re.findall(r'<span class="(token[^"]*)" title="([^"]*)">(.*?)</span>', page, re.DOTALL)
    return [(classes, html.unescape(title), text) for classes, title, text in found]


def test_every_token_tells_its_picture_and_its_loss() -> None:
    text = [schema.BOS_ID, *WORLD.encode("red four"), WORLD.end_of_chunk_id, schema.EOS_ID]
    phi = [0, *[2] * (len(text) - 1)]
    weight = [0.0, *[1.0] * (len(text) - 2), 0.5]
    found = spans(tokens.to_html(row(text, media_index=phi, loss_weight=weight), WORLD))
    assert len(found) == len(text)
    assert found[0] == (
        "token picture-0 unscored control",
        "3 <BOS> · sees no picture · no loss",
        "&lt;BOS&gt;",
    )
    assert found[1][0] == "token picture-2 scored"
    assert found[1][1].endswith("sees picture 2 · loss weight 1")
    assert found[-2][2] == "&lt;EOC&gt;"
    assert found[-1][1].endswith("loss weight 0.5")
    assert "".join(text for classes, _, text in found if "control" not in classes) == "red four"


def test_a_number_stands_where_the_picture_changes() -> None:
    text = [schema.BOS_ID, *WORLD.encode("red"), *WORLD.encode("four")]
    phi = [0, *[1] * len(WORLD.encode("red")), *[2] * len(WORLD.encode("four"))]
    page = tokens.to_html(row(text, media_index=phi), WORLD)
    marks = re.findall(r'<span class="sees picture-(\d)">(\w+)</span>', page)
    assert marks == [("0", "none"), ("1", "1"), ("2", "2")]


def test_padding_is_not_shown() -> None:
    text = [schema.BOS_ID, *WORLD.encode("red four")]
    assert tokens.num_tokens(row(text)[schema.TEXT]) == len(text)
    assert tokens.num_tokens(np.zeros(4, np.int32)) == 0
    assert tokens.to_html(row([]), WORLD) == ""
    assert len(spans(tokens.to_html(row(text), WORLD))) == len(text)


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "\"><img src=x onerror='alert(1)'>", "</p></article>&lt;b&gt;"],
)
def test_text_of_the_web_stays_text(text: str) -> None:
    page = tokens.to_html(row(WORLD.encode(text), media_index=[1] * 64), WORLD)
    assert set(re.findall(r"<(/?[^ >]+)", page)) <= {"span", "/span"}
    assert set(re.findall(r" ([a-z]+)=\"", page)) <= {"class", "title"}
    shown = html.unescape("".join(content for _, _, content in spans(page)))
    assert shown == text


def test_bytes_of_one_character_are_shown_as_it_is() -> None:
    text = WORLD.encode("猫")
    assert len(text) == 3, "the packaged vocabulary has no such piece"
    (found,) = spans(tokens.to_html(row(text, loss_weight=[1, 1, 1]), WORLD))
    assert found[2] == "猫"
    assert found[1].startswith(" ".join(map(str, text)))


def test_bytes_of_half_a_character_and_of_two_kinds_stay_bytes() -> None:
    text = WORLD.encode("猫")
    page = tokens.to_html(row(text[:2]), WORLD)
    assert '<span class="bytes">E7 8C</span>' in page
    page = tokens.to_html(row(text, loss_weight=[1, 1, 0]), WORLD)
    assert page.count('class="token') == 2


@pytest.mark.parametrize("character", ["\u202e", "\u0000", "\u2066", "\u200b", "\x1b"])
def test_characters_that_one_cannot_see_are_spelled(character: str) -> None:
    assert tokens.visible(f"a{character}b") == f"a⟨U+{ord(character):04X}⟩b"


def test_a_line_break_is_shown_and_breaks() -> None:
    page = tokens.to_html(row(WORLD.encode("a\nb")), WORLD)
    assert '<span class="break">⏎</span>\n' in page


def test_documents_of_a_row_are_told_apart() -> None:
    text = [schema.BOS_ID, schema.EOS_ID, schema.BOS_ID, schema.EOS_ID]
    page = tokens.to_html(row(text, segment=[1, 1, 2, 2]), WORLD)
    assert re.findall(r"document \d", page) == ["document 1", "document 2"]
