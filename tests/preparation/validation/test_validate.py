"""What is found in a dataset: exact counts for samples of every kind."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from flamingo_jax.config import DatasetConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import vocabulary
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.sources.source import Content, RawExample, Source
from flamingo_jax.preparation.validation import report
from flamingo_jax.preparation.validation.validate import PictureSizes, Spread, Validation, validate


def dataset(**fields: object) -> DatasetConfig:
    return DatasetConfig(
        name="mine", source="pairs/mine", batch_size=1, loss_weight=1.0, max_text_length=8,
        max_images=2, **fields,
    )  # fmt: skip


def jpeg(width: int, height: int, name: str = "a") -> EncodedImage:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "JPEG")
    return EncodedImage(data=file.getvalue(), name=name)


def read(number: int) -> RawExample:
    """Of ten samples, 3 and 7 are bad, 5 is left out by a rule."""
    if number == 3:
        raise BadSample(Reason.MISSING_TEXT, "shard: 3")
    if number == 5:
        raise BadSample(Reason.LOW_SIMILARITY, "shard: 5")
    good = jpeg(10 + number, 20)
    if number == 7:
        cut = EncodedImage(data=good.data[:-40], name="shard: 7.jpg")
        return RawExample(chunks=("", "x", "y"), media=(good, cut))
    return RawExample(chunks=("", "x" * number), media=(good,))


SOURCE = Source(
    name="pairs/mine", content=Content.PAIR, read=read, num_examples=10, media_shape=(1, 16, 16)
)


def look(num_samples: int | None, source: Source = SOURCE, **fields: object) -> Validation:
    return validate(dataset(**fields), source, num_samples, None, lambda line: None)


def test_every_sample_is_counted_once() -> None:
    found = look(None)
    assert found.num_looked_at == found.num_samples == 10
    assert found.num_usable == 7
    assert found.refused == {
        Reason.MISSING_TEXT: 1, Reason.LOW_SIMILARITY: 1, Reason.TRUNCATED_IMAGE: 1,
    }  # fmt: skip
    assert found.first_bad == "shard: 3: missing_text"
    assert found.characters == Spread(least=0, median=4, largest=9)
    assert found.pictures == Spread(least=1, median=1, largest=1)
    assert found.sizes == PictureSizes(smallest=(10, 20), median=(14, 20), largest=(19, 20))
    assert found.tokens is None


def test_what_a_rule_leaves_out_is_not_bad() -> None:
    found = look(None)
    assert found.bad_share == 0.2
    assert not found.is_ok
    assert look(None, max_bad_share=0.2).is_ok


def test_problems_of_opening_count_as_bad() -> None:
    problems = tuple(BadSample(Reason.MISSING_SHARD, f"{n}.tar") for n in range(2))
    source = Source(
        name="x", content=Content.PAIR, read=lambda n: read(0), num_examples=8,
        media_shape=(1, 16, 16), problems=problems,
    )  # fmt: skip
    found = look(None, source)
    assert found.bad_share == 0.2
    assert found.problems == {Reason.MISSING_SHARD: 2}
    assert found.first_problem == "0.tar: missing_shard"


def test_nothing_usable_is_not_ok_even_if_everything_is_allowed() -> None:
    def bad(number: int) -> RawExample:
        raise BadSample(Reason.EMPTY_TEXT, str(number))

    source = Source(name="x", content=Content.TEXT, read=bad, num_examples=4)
    found = look(None, source, max_bad_share=1.0)
    assert not found.is_ok
    assert found.characters is None
    assert "NOTHING USABLE" in report.to_text([found])


@pytest.mark.parametrize(
    ("num_samples", "expected"),
    [(3, [0, 333, 666]), (1000, list(range(1000))), (5000, list(range(1000)))],
)
def test_samples_are_spread_evenly(num_samples: int, expected: list[int]) -> None:
    seen = []

    def remember(number: int) -> RawExample:
        seen.append(number)
        return RawExample(chunks=("text",))

    source = Source(name="x", content=Content.TEXT, read=remember, num_examples=1000)
    assert look(num_samples, source).num_looked_at == len(expected)
    assert sorted(seen) == expected


def test_a_source_without_end_takes_a_number() -> None:
    endless = Source(name="x", content=Content.TEXT, read=lambda n: RawExample(chunks=(str(n),)))
    assert look(20, endless).characters == Spread(least=1, median=2, largest=2)
    with pytest.raises(UserError, match="--samples=all: 'pairs/mine' of dataset 'mine' never ends"):
        look(None, endless)


def test_tokens_are_counted_without_tags() -> None:
    pieces = vocabulary.load("world")
    source = Source(
        name="x", content=Content.TEXT, read=lambda n: RawExample(chunks=("a red four",)),
        num_examples=1,
    )  # fmt: skip
    found = validate(dataset(), source, None, pieces, lambda line: None)
    assert found.tokens is not None
    assert found.tokens.median == len(pieces.encode("a red four"))


def test_pixels_have_sizes_too() -> None:
    pixels = np.zeros((1, 16, 16, 3), np.uint8)
    source = Source(
        name="x", content=Content.PAIR, num_examples=1, media_shape=(1, 16, 16),
        read=lambda n: RawExample(chunks=("", ""), media=(pixels,)),
    )  # fmt: skip
    assert look(None, source).sizes == PictureSizes(
        smallest=(16, 16), median=(16, 16), largest=(16, 16)
    )


def test_an_error_of_the_code_is_no_bad_sample() -> None:
    def fail(number: int) -> RawExample:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        look(None, Source(name="x", content=Content.TEXT, read=fail, num_examples=1))


def test_the_text_tells_shares_by_reason_and_the_first_bad_sample() -> None:
    text = report.to_text([look(None)])
    assert "mine (pairs/mine): TOO MANY ARE BAD (20.0% bad, max_bad_share is 10.0%)" in text
    assert "usable          7 (70.0%)" in text
    assert "truncated_image 1 (10.0%)\n" in text
    assert "low_similarity 1 (10.0%), as the config asks for" in text
    assert "sizes           median 14 x 20, from 10 x 20 to 19 x 20" in text
    assert "first bad       shard: 3: missing_text" in text


def test_the_json_tells_the_same() -> None:
    fields = json.loads(report.to_json([look(None), look(None, max_bad_share=0.5)]))
    assert fields["ok"] is False
    assert [item["ok"] for item in fields["datasets"]] == [False, True]
    first = fields["datasets"][0]
    assert first["refused"] == {"low_similarity": 1, "missing_text": 1, "truncated_image": 1}
    assert first["usable_share"] == 0.7
    assert first["sizes"]["median"] == [14, 20]
    assert first["first_bad"] == "shard: 3: missing_text"


def test_names_cannot_write_to_the_terminal() -> None:
    def bad(number: int) -> RawExample:
        raise BadSample(Reason.EMPTY_TEXT, "a\x1b[2J\rb")

    found = look(None, Source(name="x", content=Content.TEXT, read=bad, num_examples=1))
    text = report.to_text([found])
    assert "\x1b" not in text and "\r" not in text
    assert r"a\x1b[2J\rb" in text
