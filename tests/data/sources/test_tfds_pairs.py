"""Pairs out of prepared TFDS datasets, which TFDS's own writer makes here."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import io
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.sources import catalog
from flamingo_jax.data.sources.source import Content, Source
from tests.data.sources import page_datasets
from tests.data.sources.page_datasets import pictures, reason

LABELS = ["cat", "a dog"]
NUM_EXAMPLES = 30


def _picture(number: int) -> np.ndarray:
    return np.full((4, 6, 3), number, np.uint8)


def _example(number: int) -> dict[str, Any]:
    """Example 2 has no captions, example 3 an empty text."""
    texts = [f"Caption {number}.", "Another."]
    return {
        "picture": _picture(number),
        "views": [_picture(number), _picture(number + 100)],
        "text": "" if number == 3 else f" Text {number}, ä. ",
        "label": number % 2,
        "captions": {"text": [] if number == 2 else texts, "id": [] if number == 2 else [1, 2]},
        "nested": [[], texts],
        "clip": [_picture(number)] * 2,
        "weights": [0.5],
    }


def _prepare(folder: Path) -> None:
    import tensorflow_datasets as tfds

    image = tfds.features.Image(shape=(None, None, 3), encoding_format="png")
    text = tfds.features.Text()
    features = {
        "picture": image,
        "views": tfds.features.Sequence(image),
        "text": text,
        "label": tfds.features.ClassLabel(names=LABELS),
        "captions": tfds.features.Sequence({"text": text, "id": np.int64}),
        "nested": tfds.features.Sequence(tfds.features.Sequence(text)),
        "clip": tfds.features.Video(shape=(None, None, None, 3)),
        "weights": tfds.features.Sequence(np.float32),
    }
    (folder / "cats/1.0.0").mkdir(parents=True)
    identity = tfds.core.DatasetIdentity(
        name="cats",
        version=tfds.core.Version("1.0.0"),
        data_dir=str(folder / "cats/1.0.0"),
        module_name=__name__,
    )
    info = tfds.core.DatasetInfo(builder=identity, features=tfds.features.FeaturesDict(features))
    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=NUM_EXAMPLES // 3)
    writer.initialize_splits(["train", "val"])
    for split, count in (("train", NUM_EXAMPLES), ("val", 4)):
        writer.add_examples({split: [_example(number) for number in range(count)]})
    writer.close_all()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the dataset "cats:1.0.0" is prepared."""
    folder = tmp_path_factory.mktemp("tfds")
    _prepare(folder)
    return folder


def _open(
    prepared: Path | None, indexes: Path, *paths: str, split: str = "train", **options: str
) -> Source:
    options = {"image_field": "picture"} | options
    dataset = page_datasets.dataset("pairs/tfds", indexes, paths or ("cats",), **options)
    images = "" if prepared is None else str(prepared)
    dataset = dataclasses.replace(
        dataset, split=split, options=dataclasses.replace(dataset.options, images=images)
    )
    return catalog.open_source(dataset, "contrastive")


def _texts(source: Source, numbers: range) -> list[str]:
    return [source.read(n).chunks[1] for n in numbers]


def test_pairs_in_the_order_of_the_files(prepared: Path, tmp_path: Path) -> None:
    source = _open(prepared, tmp_path)
    assert (source.content, source.num_examples) == (Content.PAIR, NUM_EXAMPLES)
    assert source.problems == () and source.media_shape == (1, 16, 16)
    for n in (29, 0, 17):
        example = source.read(n)
        assert example.chunks == ("", f"Text {n}, ä.")
        (picture,) = pictures(example)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture))), _picture(n))
    assert source.read(11).media[0].name == "cats-train.tfrecord-00001: record 1: picture"
    assert reason(source, 3) == "empty_text"


def test_the_same_as_tfds_reads(prepared: Path, tmp_path: Path) -> None:
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(prepared / "cats/1.0.0")
    decoders = {"picture": tfds.decode.SkipDecoding()}
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    examples = builder.as_dataset(
        split="train", decoders=decoders, read_config=in_order
    ).as_numpy_iterator()
    expected = [(example["text"].decode().strip(), [example["picture"]]) for example in examples]
    source = _open(prepared, tmp_path)
    numbers = [n for n in range(NUM_EXAMPLES) if n != 3]
    found = {n: (source.read(n).chunks[1], pictures(source.read(n))) for n in reversed(numbers)}
    assert [found[n] for n in numbers] == [expected[n] for n in numbers]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert list(threads.map(source.read, numbers * 4)) == [source.read(n) for n in numbers] * 4


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"text_field": "label"}, ["cat", "a dog"]),
        ({"text_field": "captions/text"}, ["Caption 0.", "Caption 1."]),
        ({"text_field": "nested"}, ["Caption 0.", "Caption 1."]),
        ({"image_field": "views"}, ["Text 0, ä.", "Text 1, ä."]),
    ],
)
def test_features_within_others(
    prepared: Path, tmp_path: Path, options: dict[str, str], expected: list[str]
) -> None:
    source = _open(prepared, tmp_path, **options)
    assert _texts(source, range(2)) == expected
    (picture,) = pictures(source.read(1))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture))), _picture(1))


def test_examples_that_cannot_be_used(prepared: Path, tmp_path: Path) -> None:
    source = _open(prepared, tmp_path, text_field="captions/text")
    with pytest.raises(BadSample, match="record 2: .*'captions/text' is empty") as raised:
        source.read(2)
    assert raised.value.reason is Reason.MISSING_TEXT


def test_splits(prepared: Path, tmp_path: Path) -> None:
    validation = _open(prepared, tmp_path, "cats:1.0.0", split="validation")
    assert validation.num_examples == 4
    with pytest.raises(
        UserError, match=r"config.data\[mine\].split is 'test': cats/1.0.0 has 'train', 'val'$"
    ):
        _open(prepared, tmp_path, split="test")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"text_field": "caption"},
            "text_field is 'caption': the dataset has 'captions/id', 'capt",
        ),
        ({"text_field": "captions"}, "text_field is 'captions', a FeaturesDict: expected a Text"),
        ({"text_field": "weights"}, "text_field is 'weights', a .*: expected a Text"),
        ({"text_field": "picture"}, "text_field is 'picture', a Image: expected a Text"),
        ({"text_field": "text/more"}, "text_field is 'text/more': the dataset has"),
        ({"image_field": "image"}, "image_field is 'image': the dataset has"),
        ({"image_field": "text"}, "image_field is 'text', a Text: expected an Image"),
        ({"image_field": "clip"}, "image_field is 'clip', a Video: expected an Image"),
    ],
)
def test_features_that_do_not_fit(
    prepared: Path, tmp_path: Path, options: dict[str, str], words: str
) -> None:
    with pytest.raises(UserError, match=rf"^config.data\[mine\].options.{words}"):
        _open(prepared, tmp_path, **options)


@pytest.mark.parametrize("name", ["dogs", "cats:2.0.0", "cats/config:1.0.0"])
def test_what_is_not_prepared_is_not_downloaded(prepared: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"paths: TFDS has not prepared") as raised:
        _open(prepared, tmp_path, name)
    command = f"tfds.builder('{name}', data_dir='{prepared}').download_and_prepare()"
    assert command in str(raised.value)


@pytest.mark.parametrize("paths", [("a", "b"), ("",), ("../cats",), ("hub:cats",), ("cats:x:y",)])
def test_names_that_mean_no_dataset(prepared: Path, tmp_path: Path, paths: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"^config.data\[mine\].paths"):
        _open(prepared, tmp_path, *paths)


def test_the_folder_of_tfds_comes_before_that_of_the_dataset(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorflow_datasets.core import constants

    monkeypatch.setattr(constants, "DATA_DIR", str(tmp_path / "empty"))
    with pytest.raises(UserError, match=f"in '{tmp_path}/empty' or '{tmp_path}/mine'"):
        _open(None, tmp_path / "mine")
    # `tests.data.sources.page_datasets.dataset` takes its folder as the data_dir.
    shutil.copytree(prepared, tmp_path / "mine", dirs_exist_ok=True)
    assert _open(None, tmp_path / "mine").num_examples == NUM_EXAMPLES
    monkeypatch.setattr(constants, "DATA_DIR", str(prepared))
    assert _open(None, tmp_path / "elsewhere").num_examples == NUM_EXAMPLES


def test_files_that_were_cut_or_are_missing(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "tfds")
    shards = sorted((tmp_path / "tfds/cats/1.0.0").glob("*train*"))
    assert len(shards) == 3
    os.truncate(shards[2], shards[2].stat().st_size - 10)
    source = _open(tmp_path / "tfds", tmp_path)
    assert source.num_examples == NUM_EXAMPLES - 1
    assert [problem.reason for problem in source.problems] == [Reason.TRUNCATED_SHARD]
    shards[2].unlink()
    source = _open(tmp_path / "tfds", tmp_path)
    assert [problem.reason for problem in source.problems] == [Reason.MISSING_SHARD]
    shards[1].unlink()
    with pytest.raises(UserError, match="2 of 3 files are missing"):
        _open(tmp_path / "tfds", tmp_path)


def test_files_that_are_not_those_of_the_description(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "tfds")
    shards = sorted((tmp_path / "tfds/cats/1.0.0").glob("*train*"))
    shutil.copyfile(next((tmp_path / "tfds/cats/1.0.0").glob("*val*")), shards[0])
    with pytest.raises(UserError, match="examples in its files of 'train', and 30 in its descr"):
        _open(tmp_path / "tfds", tmp_path)


def test_bytes_that_are_no_example(prepared: Path, tmp_path: Path) -> None:
    import tensorflow as tf

    shutil.copytree(prepared, tmp_path / "tfds")
    path = next((tmp_path / "tfds/cats/1.0.0").glob("*val*"))
    empty = tf.train.Example().SerializeToString()
    wrong = tf.train.Example()
    wrong.features.feature["picture"].int64_list.value.append(3)
    wrong.features.feature["text"].bytes_list.value.append(b"text")
    no_picture = tf.train.Example()
    no_picture.features.feature["picture"].bytes_list.value.append(b"")
    no_picture.features.feature["text"].bytes_list.value.append(b"text")
    records = (b"\xff\xff", empty, wrong.SerializeToString(), no_picture.SerializeToString())
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    source = _open(tmp_path / "tfds", tmp_path, split="validation")
    assert [reason(source, n) for n in range(4)] == [
        "broken_record", "missing_media", "broken_record", "empty_file",
    ]  # fmt: skip


def test_labels_that_are_kept_secret() -> None:
    from flamingo_jax.data.sources.tfds_examples import _label_reader

    read = _label_reader(LABELS)
    assert read(1, "a") == "a dog"
    for number in (-1, 2, b"cat"):
        with pytest.raises(BadSample, match="there is no class"):
            read(number, "a")


def test_other_file_formats_are_refused(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "tfds")
    info = tmp_path / "tfds/cats/1.0.0/dataset_info.json"
    text = info.read_text()
    assert '"tfrecord"' in text
    info.write_text(text.replace('"tfrecord"', '"array_record"'))
    with pytest.raises(UserError, match="cats/1.0.0 is stored as array_record: expected tfrecord"):
        _open(tmp_path / "tfds", tmp_path)
