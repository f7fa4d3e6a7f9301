"""The layout of shards, and that nothing but the pages decides their bytes."""

from __future__ import annotations

import io
import json
import tarfile

from flamingo_jax.preparation.m3w.pages import FinishedPage, Picture
from flamingo_jax.preparation.m3w.shards import members, shard_bytes, shard_name

PAGE = FinishedPage(
    key="00ff",
    url="http://h/é",
    pieces=(Picture(url="u0", data=b"p0"), "text é", Picture(url="u2", data=b"p2"), "more"),
)
OTHER = FinishedPage(key="00aa", url="http://h/", pieces=("t", Picture(url="u", data=b"p")))


def test_members_of_a_page() -> None:
    (name, record), *pictures = members(PAGE)
    assert name == "00ff.json"
    assert json.loads(record) == {
        "url": "http://h/é",
        "texts": [None, "text é", None, "more"],
        "images": ["u0", None, "u2", None],
    }
    assert pictures == [("00ff.0.jpg", b"p0"), ("00ff.2.jpg", b"p2")]


def test_order_of_pages_does_not_matter() -> None:
    data = shard_bytes([PAGE, OTHER])
    assert data == shard_bytes([OTHER, PAGE])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = tar.getmembers()
    assert [member.name for member in found] == [
        "00aa.json", "00aa.1.jpg", "00ff.json", "00ff.0.jpg", "00ff.2.jpg",
    ]  # fmt: skip
    assert {(member.mtime, member.uid, member.uname, member.mode) for member in found} == {
        (0, 0, "", 0o644)
    }


def test_a_shard_without_pages_is_a_tar_file() -> None:
    with tarfile.open(fileobj=io.BytesIO(shard_bytes([]))) as tar:
        assert tar.getmembers() == []
    assert shard_name(12) == "m3w-00012.tar"
