"""Pictures and clips by name, out of folders and tar shards."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.evaluation.benchmarks.benchmark_folder import BenchmarkFolder, Origin

ORIGIN = Origin(name="walls", where="https://walls.example", layout="walls.json, pictures/")


@pytest.fixture(autouse=True)
def _index_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _folder(tmp_path: Path) -> BenchmarkFolder:
    path = tmp_path / "data" / "walls"
    path.mkdir(parents=True, exist_ok=True)
    return BenchmarkFolder(ORIGIN, str(path))


def _write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def _pack(path: Path, *members: tuple[str, str]) -> None:
    content = path.parent / "content"
    with tarfile.open(path, "w") as shard:
        for name, text in members:
            shard.add(_write(content, text), name)
    content.unlink()


def test_a_file_is_read_by_the_names_of_folder_and_file(tmp_path: Path) -> None:
    here = _folder(tmp_path)
    _write(Path(here.path) / "pictures" / "a b.png", "one")
    _write(Path(here.path) / "more" / "sub" / "a.png", "two")
    pictures = here.pictures(here.media_folder("pictures"), here.media_folder("more"))
    found = pictures.read("pictures/a b.png")
    assert isinstance(found, EncodedImage) and found.data == b"one"
    assert found.name == "walls: pictures/a b.png"
    assert pictures.read("more/sub/a.png").data == b"two"


def test_shards_take_the_place_of_a_folder(tmp_path: Path) -> None:
    here = _folder(tmp_path)
    home = Path(here.path)
    _pack(home / "one.tar", ("a.jpg", "bare"), ("one/b.jpg", "with its folder"))
    _pack(home / "two-0000.tar", ("c.jpg", "first shard"))
    _pack(home / "two-0001.tar", ("./d.jpg", "second shard"))
    pictures = here.pictures(here.media_folder("one"), here.media_folder("two"))
    read = {name: pictures.read(name).data for name in ("one/a.jpg", "one/b.jpg")}
    assert read == {"one/a.jpg": b"bare", "one/b.jpg": b"with its folder"}
    assert pictures.read("two/c.jpg").data == b"first shard"
    assert pictures.read("two/d.jpg").data == b"second shard"
    with pytest.raises(UserError, match="walls: there is no file '.*two-.*tar/e.jpg'"):
        pictures.read("two/e.jpg")


def test_a_folder_may_be_shared_or_have_another_name(tmp_path: Path) -> None:
    here = _folder(tmp_path)
    _write(tmp_path / "data" / "coco" / "val2014" / "a.jpg", "shared")
    folder = here.media_folder("val2014", shared_with="coco")
    assert here.pictures(folder).read("val2014/a.jpg").data == b"shared"
    _write(Path(here.path) / "val2014" / "a.jpg", "own")
    folder = here.media_folder("val2014", shared_with="coco")
    assert here.pictures(folder).read("val2014/a.jpg").data == b"own"
    _write(Path(here.path) / "images" / "a.jpg", "other name")
    assert here.media_folder("pictures", "images").name == "images"


def test_a_shared_folder_is_found_beside_relative_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "data" / "coco" / "val2014" / "a.jpg", "shared")
    (tmp_path / "data" / "walls").mkdir()
    for place, path in ((tmp_path / "data", "walls"), (tmp_path, "data/walls/")):
        monkeypatch.chdir(place)
        here = BenchmarkFolder(ORIGIN, path)
        folder = here.media_folder("val2014", shared_with="coco")
        assert here.pictures(folder).read("val2014/a.jpg").data == b"shared"


def test_a_missing_folder_is_told_with_where_to_get_it(tmp_path: Path) -> None:
    here = _folder(tmp_path)
    with pytest.raises(UserError) as caught:
        here.media_folder("pictures", "images", shared_with="coco")
    said = str(caught.value)
    for part in ("walls: ", "'pictures'", "images-*.tar", "'coco' beside", "https://walls.example",
                 "walls.json, pictures/"):  # fmt: skip
        assert part in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pictures/none.png", "there is no file '.*/pictures/none.png', which its annotations"),
        ("elsewhere/a.png", "there is no file 'elsewhere/a.png'"),
        ("a.png", "there is no file 'a.png'"),
        ("pictures/../secret.png", "unsafe_name"),
        ("pictures//etc/passwd", "unsafe_name"),
        ("pictures/", "unsafe_name"),
        ("pictures/link.png", "unsafe_name"),
        ("pictures/empty.png", "empty.png' is empty"),
    ],
)
def test_what_cannot_be_read_stops_the_evaluation(tmp_path: Path, name: str, said: str) -> None:
    here = _folder(tmp_path)
    home = Path(here.path)
    _write(home / "pictures" / "empty.png", "")
    secret = _write(home / "secret.png", "not for reading")
    (home / "pictures" / "link.png").symlink_to(secret)
    pictures = here.pictures(here.media_folder("pictures"))
    with pytest.raises(UserError, match=said) as caught:
        pictures.read(name)
    assert "walls" in str(caught.value) and "\n" not in str(caught.value)


def test_other_names_are_tried_in_turn(tmp_path: Path) -> None:
    here = _folder(tmp_path)
    _write(Path(here.path) / "second" / "a.png", "found")
    _write(Path(here.path) / "first" / "b.png", "found at once")
    pictures = here.pictures(
        here.media_folder("first"),
        here.media_folder("second"),
        other_names=lambda name: (name.replace("first", "second"),),
    )
    assert pictures.read("first/a.png").data == b"found"
    assert pictures.read("first/b.png").data == b"found at once"
    with pytest.raises(UserError, match="there is no file '.*first/c.png' or '.*second/c.png'"):
        pictures.read("first/c.png")
