"""The page: the rows of real batches, pixel by pixel, and nothing but text out of texts."""

from __future__ import annotations

import base64
import html.parser
import io
import re

import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from configs import quickstart
from flamingo_jax.config import DatasetConfig, resolve
from flamingo_jax.data import mixtures, schema, vocabulary
from flamingo_jax.preparation.preview import examples, page, pictures
from flamingo_jax.preparation.preview.examples import DatasetPreview, Example

WORLD = vocabulary.load("world")


def dataset(stage: str, place: int, **fields: object) -> DatasetConfig:
    config: ConfigDict = quickstart.get_config(stage)
    for name, value in fields.items():
        config.data[place][name] = value
    return resolve(config).data[place]


class Checked(html.parser.HTMLParser):
    """Counts tags and fails where one is closed that is not open."""

    VOID = ("meta", "img")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(text: str) -> Checked:
    parser = Checked()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    assert "script" not in parser.tags
    assert not any(name.startswith("on") for name in parser.attributes)
    assert not re.findall(r'(?:src|href)="(?!data:image/|#dataset-)', text)
    assert "http:" not in text and "https:" not in text
    return parser


@pytest.mark.parametrize(
    ("stage", "place"),
    [("flamingo", 0), ("flamingo", 3), ("contrastive", 0), ("language_model", 0)],
)
def test_the_rows_are_those_of_training(stage: str, place: int) -> None:
    config = dataset(stage, place)
    batch, _ = next(mixtures.batches(config, WORLD, stage, start=config.batch_size))
    preview = examples.take(config, WORLD, stage, start=config.batch_size, count=3)
    assert [e.position for e in preview.examples] == [config.batch_size + n for n in range(3)]
    for number, example in enumerate(preview.examples):
        assert example.row.keys() == batch.keys()
        for key, array in batch.items():
            np.testing.assert_array_equal(example.row[key], array[number])
    checked(page.to_html([preview], WORLD, "title"))


def test_the_pictures_are_the_pixels_of_the_batch() -> None:
    preview = examples.take(dataset("flamingo", 0), WORLD, "flamingo", start=0, count=2)
    text = page.to_html([preview], WORLD, "title")
    shown = []
    for encoded in re.findall(r'src="data:image/png;base64,([^"]+)"', text):
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
            shown.append(np.asarray(picture))
    expected = [
        frame
        for example in preview.examples
        for frames in example.row[schema.MEDIA]
        for frame in frames
        if frames.any()
    ]
    assert len(expected) > 4
    np.testing.assert_array_equal(np.stack(shown), np.stack(expected))


def test_large_pictures_are_jpeg_and_nearly_the_same() -> None:
    frame = np.full((65, 65, 3), 100, np.uint8)
    address = pictures.data_uri(frame)
    assert address.startswith("data:image/jpeg;base64,")
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as picture:
        assert np.abs(np.asarray(picture).astype(int) - 100).max() <= 2


def test_places_without_a_picture_are_counted_and_not_shown() -> None:
    media = np.zeros((4, 1, 8, 8, 3), np.uint8)
    assert pictures.num_pictures(media) == 0
    assert pictures.to_html(media) == ""
    media[2] = 1  # Pictures 1 and 2 are black, the last place is empty.
    assert pictures.num_pictures(media) == 3
    assert pictures.to_html(media).count("<figure") == 3


def test_hostile_names_and_texts_are_escaped() -> None:
    hostile = "\"><script>alert('x')</script>"
    config = dataset("flamingo", 0, name=hostile, max_text_length=64)
    text = WORLD.encode(hostile)
    row = {schema.TEXT: np.zeros(64, np.int32), schema.MEDIA_INDEX: np.ones(64, np.int32)}
    row[schema.TEXT][: len(text)] = text
    preview = DatasetPreview(
        dataset=config, examples=(Example(position=0, row=row),), counts={hostile: 1}
    )
    found = page.to_html([preview], WORLD, hostile)
    checked(found)
    assert "default-src 'none'" in found


def test_the_facts_of_an_example_are_counted() -> None:
    preview = examples.take(dataset("flamingo", 0), WORLD, "flamingo", start=0, count=1)
    row = preview.examples[0].row
    used = int((row[schema.TEXT] != schema.PAD_ID).sum())
    scored = int((row[schema.LOSS_WEIGHT] > 0).sum())
    filled = sum(bool(frames.any()) for frames in row[schema.MEDIA])
    found = page.to_html([preview], WORLD, "title")
    for fact in (
        f"{used} tokens", f"{len(row[schema.TEXT]) - used} padding", f"{scored} with a loss",
        f"{filled} of 9 pictures", "position 0", "samples read ",
    ):  # fmt: skip
        assert fact in found


def test_every_picture_has_a_colour_of_its_own() -> None:
    preview = examples.take(dataset("flamingo", 0), WORLD, "flamingo", start=0, count=1)
    found = page.to_html([preview], WORLD, "title")
    hues = re.findall(r"\.picture-(\d+)\{--hue:(\d+)\}", found)
    assert [int(number) for number, _ in hues] == list(range(1, 10))
    assert len({hue for _, hue in hues}) == 9
