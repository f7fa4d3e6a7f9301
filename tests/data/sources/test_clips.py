"""Clips of JSON lines and of tar shards."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamingo_jax.config import DatasetConfig, SourceOptions
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import mixtures, schema, vocabulary
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedVideo
from flamingo_jax.data.sources import catalog
from flamingo_jax.data.sources.source import Content, RawExample, Source
from tests.data.video_files import numbers_of, write_video


def dataset(folder: Path, source: str, path: str, **fields: Any) -> DatasetConfig:
    options = {"index_dir": str(folder / "indexes")} | fields.pop("options", {})
    given = {
        "batch_size": 2, "loss_weight": 0.03, "max_text_length": 32, "num_frames": 4,
        "image_size": 64, "frames_per_second": 2.0,
    }  # fmt: skip
    return DatasetConfig(
        name="vtp", source=source, paths=(path,), data_dir=str(folder),
        options=SourceOptions(**options), **(given | fields),
    )  # fmt: skip


def opened(config: DatasetConfig) -> Source:
    return catalog.open_source(config, "flamingo")


def write_lines(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    (folder / "clips.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def write_tar(path: Path, members: Mapping[str, bytes]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))


def only_clip(example: RawExample) -> EncodedVideo:
    (clip,) = example.media
    assert isinstance(clip, EncodedVideo)
    return clip


def refusal(source: Source, n: int) -> BadSample:
    with pytest.raises(BadSample) as raised:
        source.read(n)
    return raised.value


def test_lines_name_files_beside_them_or_in_a_folder_or_in_tar_shards(tmp_path: Path) -> None:
    records = [
        {"video": "a/one.mp4", "text": " A dog runs. "},
        {"image": "two.webm", "text": "A cat sleeps.", "text_in_images": True},
    ]
    write_lines(tmp_path, records)
    for folder in (tmp_path, tmp_path / "videos"):
        (folder / "a").mkdir(parents=True)
        (folder / "a" / "one.mp4").write_bytes(b"first of " + folder.name.encode())
        (folder / "two.webm").write_bytes(b"second of " + folder.name.encode())
    write_tar(tmp_path / "0.tar", {"a/one.mp4": b"first of tar"})
    write_tar(tmp_path / "1.tar", {"two.webm": b"second of tar"})
    for images, place in (("", tmp_path.name), ("videos", "videos"), ("{0..1}.tar", "tar")):
        config = dataset(tmp_path, "clips/json_lines", "clips.jsonl", options={"images": images})
        source = opened(config)
        assert (source.content, source.num_examples) == (Content.CLIP, 2)
        assert source.media_shape == (4, 64, 64)
        first, second = source.read(0), source.read(1)
        assert (first.chunks, second.chunks) == (("", "A dog runs."), ("", "A cat sleeps."))
        assert (first.text_in_images, second.text_in_images) == (False, True)
        assert only_clip(first).data == b"first of " + place.encode()
        assert only_clip(second).data == b"second of " + place.encode()
        assert only_clip(first).name == "clips.jsonl: line 1: a/one.mp4"


def test_fields_of_a_record_may_have_other_names(tmp_path: Path) -> None:
    write_lines(tmp_path, [{"path": "one.mp4", "caption": "A dog.", "video": "other.mp4"}])
    (tmp_path / "one.mp4").write_bytes(b"one")
    options = {"image_field": "path", "text_field": "caption"}
    source = opened(dataset(tmp_path, "clips/json_lines", "clips.jsonl", options=options))
    assert only_clip(source.read(0)).data == b"one"
    assert source.read(0).chunks == ("", "A dog.")


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"text": "A dog."}, Reason.MISSING_MEDIA),
        ({"video": "nowhere.mp4", "text": "A dog."}, Reason.MISSING_MEDIA),
        ({"video": 3, "text": "A dog."}, Reason.BROKEN_RECORD),
        ({"video": "../secret.mp4", "text": "A dog."}, Reason.UNSAFE_NAME),
        ({"video": "/etc/passwd", "text": "A dog."}, Reason.UNSAFE_NAME),
        ({"video": "a\\..\\b.mp4", "text": "A dog."}, Reason.UNSAFE_NAME),
        ({"video": "one.mp4"}, Reason.MISSING_TEXT),
        ({"video": "one.mp4", "text": " \n"}, Reason.EMPTY_TEXT),
        ({"video": "one.mp4", "text": None}, Reason.BROKEN_RECORD),
        ([1, 2], Reason.BROKEN_RECORD),
    ],
)
def test_a_line_that_cannot_be_used_is_refused(tmp_path: Path, record: Any, reason: Reason) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (folder / "one.mp4").write_bytes(b"one")
    write_lines(folder, [{"video": "one.mp4", "text": "A dog."}, record])
    source = opened(dataset(folder, "clips/json_lines", "clips.jsonl"))
    assert source.read(0).chunks == ("", "A dog.")
    bad = refusal(source, 1)
    assert bad.reason is reason
    assert bad.name == "clips.jsonl: line 2"


def test_shards_hold_clips_and_captions(tmp_path: Path) -> None:
    members = {
        "000.mp4": b"mp4", "000.txt": b"A dog runs.\n", "000.json": b"{}",
        "001.webm": b"webm", "001.MKV": b"mkv", "001.txt": b"A cat sleeps.",
        "002.avi": b"avi", "002.txt": b" ",
        "003.txt": b"No clip.",
        "004.mov": b"mov",
        "005.mp4": b"mp4", "005.txt": b"\xff\xfe",
    }  # fmt: skip
    write_tar(tmp_path / "0000.tar", members)
    write_tar(tmp_path / "0001.tar", {"006.m4v": b"m4v", "006.txt": b"A bird."})
    source = opened(dataset(tmp_path, "clips/webdataset", "{0000..0001}.tar"))
    assert (source.content, source.num_examples) == (Content.CLIP, 7)
    good = {n: source.read(n) for n in (0, 1, 6)}
    assert {n: only_clip(e).data for n, e in good.items()} == {0: b"mp4", 1: b"webm", 6: b"m4v"}
    assert [e.chunks[1] for e in good.values()] == ["A dog runs.", "A cat sleeps.", "A bird."]
    assert only_clip(good[6]).name == "0001.tar: 006.m4v"
    reasons = {n: refusal(source, n).reason for n in (2, 3, 4, 5)}
    assert reasons == {
        2: Reason.EMPTY_TEXT, 3: Reason.MISSING_MEDIA, 4: Reason.MISSING_TEXT, 5: Reason.NOT_UTF8,
    }  # fmt: skip


def test_a_missing_shard_is_a_problem_and_all_missing_an_error(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {"0.mp4": b"mp4", "0.txt": b"A dog."})
    write_tar(tmp_path / "2.tar", {"2.mp4": b"mp4", "2.txt": b"A cat."})
    source = opened(dataset(tmp_path, "clips/webdataset", "{0..2}.tar"))
    assert [problem.reason for problem in source.problems] == [Reason.MISSING_SHARD]
    with pytest.raises(UserError, match=r"config\.data\[vtp\]\.paths"):
        opened(dataset(tmp_path, "clips/webdataset", "{5..9}.tar"))


def test_a_missing_folder_of_clips_is_an_error_that_names_the_field(tmp_path: Path) -> None:
    write_lines(tmp_path, [{"video": "one.mp4", "text": "A dog."}])
    config = dataset(tmp_path, "clips/json_lines", "clips.jsonl", options={"images": "nowhere"})
    with pytest.raises(UserError, match=r"config\.data\[vtp\]\.options\.images"):
        opened(config)


def test_batches_hold_the_frames_and_the_caption_of_each_clip(tmp_path: Path) -> None:
    write_tar(
        tmp_path / "0.tar",
        {
            "0.mp4": write_video("mp4", num_frames=40, rate=10),
            "0.txt": b"A dog runs.",
            "1.webm": write_video("webm", "libvpx", num_frames=8, rate=4),
            "1.txt": b"A cat sleeps.",
        },
    )
    words = vocabulary.load("world")
    config = dataset(tmp_path, "clips/webdataset", "0.tar", shuffle=False)
    batch, position = next(iter(mixtures.batches(config, words, "flamingo")))
    media_BIFHWC = batch[schema.MEDIA]
    assert position == 2 and media_BIFHWC.shape == (2, 1, 4, 64, 64, 3)
    assert media_BIFHWC.dtype == np.uint8
    assert numbers_of(media_BIFHWC[0, 0]) == [0, 5, 10, 15]
    assert numbers_of(media_BIFHWC[1, 0]) == [0, 2, 4, 6]
    texts = [words.decode(row) for row in batch[schema.TEXT].tolist()]
    assert "A dog runs." in texts[0] and "A cat sleeps." in texts[1]
