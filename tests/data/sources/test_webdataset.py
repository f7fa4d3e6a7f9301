"""Pictures with captions out of tar shards."""

from __future__ import annotations

import concurrent.futures
import json
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.sources import catalog
from flamingo_jax.data.sources.source import Content, Source
from tests.data.sources import page_datasets
from tests.data.sources.page_datasets import pictures, reason, write_tar

NAME = "pairs/webdataset"


def _open(folder: Path, *paths: str) -> Source:
    dataset = page_datasets.dataset(NAME, folder, paths)
    return catalog.open_source(dataset, "contrastive")


def _source_of(folder: Path, members: dict[str, bytes]) -> Source:
    write_tar(folder / "0.tar", members)
    return _open(folder, "0.tar")


def test_a_sample_is_a_picture_and_its_caption(tmp_path: Path) -> None:
    members = {"a.txt": b"\xef\xbb\xbf \n A c\xc3\xa4t\0. \n", "a.jpg": b"picture", "a.json": b"{}"}
    source = _source_of(tmp_path, members)
    assert (source.name, source.content, source.num_examples) == (NAME, Content.PAIR, 1)
    assert source.media_shape == (1, 16, 16)
    example = source.read(0)
    assert example.chunks == ("", "A cät.")
    assert example.media == (EncodedImage(data=b"picture", name="0.tar: a.jpg"),)
    assert not example.text_in_images


def test_the_same_key_in_two_shards_is_two_examples(tmp_path: Path) -> None:
    write_tar(tmp_path / "00.tar", {"a.jpg": b"1", "a.txt": b"one"})
    write_tar(tmp_path / "01.tar", {"a.jpg": b"2", "a.txt": b"two"})
    source = _open(tmp_path, "{00..02}.tar")
    found = [(source.read(n).chunks[1], *pictures(source.read(n))) for n in (0, 1)]
    assert found == [("one", b"1"), ("two", b"2")]
    assert source.num_examples == 2
    assert [problem.reason for problem in source.problems] == [Reason.MISSING_SHARD]


def test_the_first_of_several_kinds_of_pictures(tmp_path: Path) -> None:
    names = ["webp", "jpeg", "png", "jpg"]
    for number in range(4):
        members = {f"a.{suffix}": suffix.encode() for suffix in names[: number + 1]}
        source = _source_of(tmp_path, {**members, "a.txt": b"text"})
        assert pictures(source.read(0)) == [names[number].encode()]


@pytest.mark.parametrize(
    ("members", "expected", "words"),
    [
        ({"a.txt": b"text"}, Reason.MISSING_MEDIA, "0.tar: a: .*no .jpg, .png.*members: .txt"),
        ({"a.txt": b"t", "a.gif": b"p"}, Reason.MISSING_MEDIA, ".txt, .gif"),
        ({"a.jpg": b"picture"}, Reason.MISSING_TEXT, "0.tar: a: .*no .txt"),
        ({"a.jpg": b"picture", "a.txt": b""}, Reason.EMPTY_FILE, "0.tar: a.txt"),
        ({"a.jpg": b"", "a.txt": b"text"}, Reason.EMPTY_FILE, "0.tar: a.jpg"),
        ({"a.jpg": b"picture", "a.txt": b" \n\t"}, Reason.EMPTY_TEXT, "0.tar: a.txt"),
        ({"a.jpg": b"picture", "a.txt": b"ab\xff"}, Reason.NOT_UTF8, "0.tar: a.txt.*byte 2"),
    ],
)
def test_samples_that_cannot_be_used(
    tmp_path: Path, members: dict[str, bytes], expected: Reason, words: str
) -> None:
    source = _source_of(tmp_path, {**members, "b.jpg": b"good", "b.txt": b"good"})
    assert reason(source, 0) == expected.value
    with pytest.raises(BadSample, match=words):
        source.read(0)
    assert source.read(1).chunks == ("", "good")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (b'{"text_in_images": true, "url": "x"}', True),
        (b'{"text_in_images": false}', False),
        (b'{"text_in_images": 1}', False),
        (b'{"other": {"text_in_images": true}}', False),
        (b'["text_in_images"]', False),
        (b'{"text_in_images": true', False),
        (b'\xff "text_in_images"', False),
        (b'"text_in_images"' + b"[" * 100000, False),
        (b"", False),
    ],
)
def test_metadata_may_say_that_the_picture_shows_text(
    tmp_path: Path, metadata: bytes, expected: bool
) -> None:
    source = _source_of(tmp_path, {"a.jpg": b"1", "a.json": metadata, "a.txt": b"one"})
    assert source.read(0).text_in_images is expected


def test_a_cut_shard_gives_what_is_whole(tmp_path: Path) -> None:
    members = {f"{n}.{suffix}": b"x" * 600 for n in range(3) for suffix in ("jpg", "txt")}
    write_tar(tmp_path / "0.tar", members)
    whole = (tmp_path / "0.tar").read_bytes()
    # Header and padded content of a member are 512 + 1024 bytes; the cut is in the fourth one.
    (tmp_path / "0.tar").write_bytes(whole[: 3 * 1536 + 700])
    source = _open(tmp_path, "0.tar")
    assert source.num_examples == 2
    assert source.read(0).chunks == ("", "x" * 600)
    assert reason(source, 1) == "missing_text"
    assert [problem.reason for problem in source.problems] == [Reason.TRUNCATED_SHARD]


def test_unsafe_names_are_no_members(tmp_path: Path) -> None:
    source = _source_of(tmp_path, {"../a.jpg": b"1", "../a.txt": b"2", "b.jpg": b"", "b.txt": b""})
    assert source.num_examples == 1
    assert [problem.reason for problem in source.problems] == [Reason.UNSAFE_NAME] * 2


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ((), r"config.data\[mine\].paths is empty"),
        (("{0..3}.tar",), "3 of 4 files are missing"),
        (("*.zip",), "no file matches"),
    ],
)
def test_what_is_no_dataset(tmp_path: Path, paths: tuple[str, ...], words: str) -> None:
    write_tar(tmp_path / "0.tar", {"a.jpg": b"1", "a.txt": b"one"})
    with pytest.raises(UserError, match=words):
        _open(tmp_path, *paths)


def test_threads_read_what_one_reads(tmp_path: Path) -> None:
    for shard in range(3):
        members: dict[str, bytes] = {}
        for number in range(40):
            members[f"{number}.jpg"] = f"picture {shard} {number}".encode() * number + b"."
            members[f"{number}.json"] = json.dumps({"text_in_images": number % 3 == 0}).encode()
            members[f"{number}.txt"] = f"text {shard} {number}".encode()
        write_tar(tmp_path / f"{shard}.tar", members)
    source = _open(tmp_path, "{0..2}.tar")
    one_by_one = [source.read(n) for n in range(120)]
    assert len({example.chunks for example in one_by_one}) == 120

    def read(n: int) -> Any:
        return source.read(n % 120)

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert list(threads.map(read, range(960))) == one_by_one * 8
