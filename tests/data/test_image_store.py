"""Pictures by name, from folders and tar shards, and names that lead out of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.image_store import ImageStore, open_image_store
from tests.data.sources.page_datasets import write_files, write_tar

UNSAFE = [
    "../secret.jpg",
    "a/../../secret.jpg",
    "/etc/passwd",
    "a\\b.jpg",
    "a\0.jpg",
    "",
    "gs://a/b",
]


def _open(folder: Path, images: str) -> ImageStore:
    return open_image_store(images, str(folder), str(folder / "indexes"), "config.data[a].images")


@pytest.fixture(params=["pictures", "shards/{0000..0001}.tar"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ImageStore:
    """A store of two pictures, as a folder and as shards."""
    write_files(tmp_path, {"secret.jpg": b"secret"})
    write_files(tmp_path / "pictures", {"cat.jpg": b"cat", "dogs/1.png": b"dog"})
    write_tar(tmp_path / "shards/0000.tar", {"cat.jpg": b"cat"})
    write_tar(tmp_path / "shards/0001.tar", {"dogs/1.png": b"dog", "cat.jpg": b"another cat"})
    return _open(tmp_path, request.param)


def test_files_by_name(store: ImageStore) -> None:
    assert store.read("cat.jpg") == b"cat"
    assert store.read("dogs/1.png") == b"dog"
    assert store.read("cat.jpg") == b"cat"


@pytest.mark.parametrize(
    "name", ["cow.jpg", "dogs", "cat", "cat.jpg/1.png", "x" * 5000, "1.png", "\ud800"]
)
def test_what_is_not_there_is_none(store: ImageStore, name: str) -> None:
    assert store.read(name) is None


@pytest.mark.parametrize("name", UNSAFE)
def test_names_that_lead_out_are_refused(store: ImageStore, name: str) -> None:
    with pytest.raises(BadSample) as caught:
        store.read(name, "pages.jsonl: line 3")
    assert caught.value.reason is Reason.UNSAFE_NAME
    assert caught.value.name == "pages.jsonl: line 3"
    with pytest.raises(BadSample) as caught:
        store.read(name)
    assert caught.value.name == store.place


def test_links_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    write_files(tmp_path, {"secret/a.jpg": b"secret", "pictures/real/a.jpg": b"cat"})
    pictures = tmp_path / "pictures"
    os.symlink(tmp_path / "secret/a.jpg", pictures / "file.jpg")
    os.symlink(tmp_path / "secret", pictures / "folder")
    os.symlink(tmp_path / "pictures2", pictures / "sibling")
    os.symlink("real/a.jpg", pictures / "inside.jpg")
    os.symlink("loop.jpg", pictures / "loop.jpg")
    write_files(tmp_path / "pictures2", {"a.jpg": b"secret"})
    store = _open(tmp_path, "pictures")
    for name in ("file.jpg", "folder/a.jpg", "sibling/a.jpg"):
        with pytest.raises(BadSample, match="symbolic link") as caught:
            store.read(name)
        assert caught.value.reason is Reason.UNSAFE_NAME
    assert store.read("inside.jpg") == b"cat"
    assert store.read("loop.jpg") is None


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    write_files(tmp_path, {"real/cat.jpg": b"cat"})
    os.symlink("real", tmp_path / "pictures")
    assert _open(tmp_path, "pictures").read("cat.jpg") == b"cat"


def test_a_pipe_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    os.mkfifo(tmp_path / "pictures/cat.jpg")
    assert _open(tmp_path, "pictures").read("cat.jpg") is None


def test_what_cannot_be_read_is_a_bad_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: str) -> bytes:
        raise OSError(5, "Input/output error", path)

    write_files(tmp_path, {"pictures/cat.jpg": b"cat"})
    store = _open(tmp_path, "pictures")
    monkeypatch.setattr("flamingo_jax.data.files.read_bytes", broken)
    with pytest.raises(BadSample, match=r"line 3: missing_media .*Input/output error") as caught:
        store.read("cat.jpg", "pages.jsonl: line 3")
    assert caught.value.reason is Reason.MISSING_MEDIA


def test_missing_shards_are_reported(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {"cat.jpg": b"cat"})
    write_tar(tmp_path / "2.tar", {"dog.jpg": b"dog"})
    store = _open(tmp_path, "{0..2}.tar")
    assert [bad.reason for bad in store.problems] == [Reason.MISSING_SHARD]
    assert store.read("dog.jpg") == b"dog"


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("", r"config\.data\[a\]\.images is empty"),
        ("nowhere", r"config\.data\[a\]\.images is 'nowhere': there is no folder '.*nowhere'"),
        ("file.jpg", r"config\.data\[a\]\.images is 'file\.jpg': there is no folder"),
        ("nowhere/*.tar", r"config\.data\[a\]\.images: no file matches"),
    ],
)
def test_a_store_that_is_not_there_is_named(tmp_path: Path, images: str, message: str) -> None:
    write_files(tmp_path, {"file.jpg": b"cat"})
    with pytest.raises(UserError, match=message):
        _open(tmp_path, images)
