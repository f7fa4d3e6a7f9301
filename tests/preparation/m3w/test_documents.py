"""HTML files as documents, and under which names their pictures are looked up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.image_store import folder_store
from flamingo_jax.preparation.m3w.config import M3WConfig
from flamingo_jax.preparation.m3w.documents import (
    PageDocument,
    Unreadable,
    check_kind,
    find_picture,
    folder_names,
    read_html_file,
    root_folder,
)


def test_an_html_file_is_addressed_from_the_folder_of_the_input(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    path = tmp_path / "a b" / "ü#?.html"
    path.write_bytes(b"<p>x")
    page = read_html_file(str(path), str(tmp_path), M3WConfig())
    assert page == PageDocument(url="file:///a%20b/%C3%BC%23%3F.html", html=b"<p>x")


def test_file_names_need_not_be_utf8(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xe9.html")
    Path(path).write_bytes(b"<p>x")
    page = read_html_file(path, str(tmp_path), M3WConfig())
    assert page == PageDocument(url="file:///%E9.html", html=b"<p>x")


def test_html_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(b"x" * 101)
    config = M3WConfig(max_page_bytes=100)
    for name, detail in (("a.html", "101 bytes"), ("b.html", "No such file or directory")):
        path = str(tmp_path / name)
        found = read_html_file(path, str(tmp_path), config)
        assert found == Unreadable(place=path, detail=detail)


@pytest.mark.parametrize(
    ("pattern", "root"),
    [
        ("pages/*/x.html", "pages"),
        ("/data/p?ges/*.html", "/data"),
        ("/data/{a,b}.html", "/data"),
        ("pages/a.html", "pages"),
        ("a.html", "."),
        ("*.html", "."),
        ("/a.html", "/"),
        ("gs://bucket/pages/*.html", "gs://bucket/pages"),
    ],
)
def test_root_folder(pattern: str, root: str) -> None:
    assert root_folder(pattern) == root


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("file:///a/b.png", ["a/b.png"]),
        ("file:///a%20b.png", ["a b.png", "a%20b.png"]),
        ("https://h.org/a/b.png", ["h.org/a/b.png"]),
        ("https://h.org/b.png?w=9", ["h.org/b.png?w=9", "h.org/b.png"]),
        ("https://h.org/", []),
        ("ftp://h.org/b.png", []),
        ("about:blank", []),
    ],
)
def test_folder_names(url: str, names: list[str]) -> None:
    assert list(folder_names(url)) == names


def test_find_picture(tmp_path: Path) -> None:
    (tmp_path / "h.org").mkdir()
    (tmp_path / "h.org" / "a b.png").write_bytes(b"picture")
    (tmp_path.parent / "secret.png").write_bytes(b"secret")
    read = folder_store(str(tmp_path)).read
    assert find_picture("http://h.org/a%20b.png?x=1", read) == b"picture"
    assert find_picture("http://h.org/c.png", read) is None
    assert find_picture("http://h.org", read) is None
    for url in ("file:///../secret.png", "file:///%2e%2e/secret.png", "http://../secret.png"):
        with pytest.raises(BadSample) as caught:
            find_picture(url, read)
        assert caught.value.reason is Reason.UNSAFE_NAME
    # Longer than a file system takes.
    assert find_picture(f"http://h.org/{'x' * 5000}.png", read) is None


def test_files_are_all_html_or_all_warc() -> None:
    check_kind(["a.html", "b.HTM"])
    check_kind(["a.warc", "b.warc.gz"])
    with pytest.raises(UserError, match="'c.txt' is neither HTML nor WARC"):
        check_kind(["a.html", "c.txt"])
    with pytest.raises(UserError, match="HTML and WARC files"):
        check_kind(["a.html", "b.warc"])
