"""MMC4 in the layouts that exist: as published, as OpenFlamingo converts it, with ChatGPT's."""

from __future__ import annotations

import base64
import json
import uuid
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.sources import catalog
from flamingo_jax.data.sources.source import Content, Source
from tests.data.sources import page_datasets
from tests.data.sources.page_datasets import pictures, reason, write_files, write_lines, write_tar

NAME = "pages/mmc4"


def _open(folder: Path, *paths: str, **options: Any) -> Source:
    return catalog.open_source(page_datasets.dataset(NAME, folder, paths, **options), "flamingo")


def _record(*images: str, **fields: Any) -> dict[str, Any]:
    """A page whose picture n belongs before sentence n, and an unillustrated last sentence."""
    size = len(images) + 1
    return {
        "url": "http://example.com",
        "text_list": [f"sentence {number}" for number in range(size)],
        "image_info": [
            {"image_name": name, "raw_url": f"http://example.com/{name}", "matched_sim": 0.3}
            for name in images
        ],
        "similarity_matrix": [
            [0.3 if row == column else 0.1 for column in range(size)] for row in range(len(images))
        ],
        "could_have_url_duplicate": 0,
        **fields,
    }


def _with_bytes(record: dict[str, Any], *data: bytes | None) -> dict[str, Any]:
    for info, content in zip(record["image_info"], data, strict=True):
        if content is not None:
            info["image_base64"] = base64.b64encode(content).decode()
    return record


def _write_zip(path: Path, records: Sequence[Any]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        lines = "".join(f"{json.dumps(record)}\n" for record in records)
        archive.writestr(path.name.removesuffix(".zip"), lines)


def _write_converted(path: Path, records: Sequence[Any]) -> None:
    members = {f"{uuid.UUID(int=n).hex}.json": json.dumps(r) for n, r in enumerate(records)}
    write_tar(path, {name: text.encode() for name, text in members.items()})


@pytest.mark.parametrize("kind", [".jsonl", ".jsonl.zip"])
@pytest.mark.parametrize("images", ["pictures", "shards/*.tar"])
def test_as_published(tmp_path: Path, kind: str, images: str) -> None:
    files = {"a.jpg": b"a", "b.png": b"b"}
    write_files(tmp_path / "pictures", files)
    write_tar(tmp_path / "shards/0.tar", files)
    records = [_record("a.jpg", "b.png"), _record("b.png", "gone.jpg"), _record("gone.jpg")]
    name = "docs_no_face_shard_0_v2"
    write_lines(tmp_path / f"{name}.jsonl", records)
    _write_zip(tmp_path / f"{name}.jsonl.zip", records)
    source = _open(tmp_path, f"{name}{kind}", images=images)
    assert source.content is Content.PAGE
    assert source.num_examples == 3
    assert source.media_shape == (1, 16, 16)
    page = source.read(0)
    assert page.chunks == ("", "sentence 0", "sentence 1 sentence 2")
    assert pictures(page) == [b"a", b"b"]
    assert page.media[0].name == f"{name}.jsonl: line 1: image 0"
    page = source.read(1)
    assert page.chunks == ("", "sentence 0 sentence 1 sentence 2")
    assert pictures(page) == [b"b"]
    with pytest.raises(BadSample, match=rf"^{name}\.jsonl: line 3: no_image"):
        source.read(2)


@pytest.mark.parametrize("kind", [".jsonl", ".jsonl.zip"])
def test_fourteen_shards_were_never_published(tmp_path: Path, kind: str) -> None:
    numbers = [number for number in range(30) if number % 2]
    write_files(tmp_path / "pictures", {"a.jpg": b"a"})
    for number in numbers:
        text = [f"shard {number}", "end"]
        record = _record("a.jpg", text_list=text)
        write_lines(tmp_path / f"docs_shard_{number}_v2.jsonl", [record])
        _write_zip(tmp_path / f"docs_shard_{number}_v2.jsonl.zip", [record])
    source = _open(tmp_path, f"docs_shard_{{1..29}}_v2{kind}", images="pictures")
    assert [bad.reason for bad in source.problems] == [Reason.MISSING_SHARD] * 14
    assert source.problems[0].name == f"docs_shard_2_v2{kind}"
    assert source.num_examples == 15
    chunks = [source.read(n).chunks for n in range(15)]
    assert chunks == [("", f"shard {number} end") for number in numbers]


@pytest.mark.parametrize("images", ["pictures", "shards/*.tar"])
def test_equal_names_of_pictures_in_folders_by_number_of_the_file(
    tmp_path: Path, images: str
) -> None:
    files = {"0/a.jpg": b"zero", "2/a.jpg": b"two", "a.jpg": b"top", "2/c.jpg": b"c"}
    write_files(tmp_path / "pictures", files)
    write_tar(tmp_path / "shards/0.tar", files)
    for number in (7, 9, 10):
        _write_zip(tmp_path / f"{number}.jsonl.zip", [_record("a.jpg", "c.jpg")])
    source = _open(tmp_path, "{7..10}.jsonl.zip", images=images)
    # The number is the place in the list of files, and the missing file 8 has one too.
    assert [pictures(source.read(n)) for n in range(3)] == [[b"zero"], [b"two", b"c"], [b"top"]]


def test_equal_names_of_pictures_on_one_page(tmp_path: Path) -> None:
    write_files(tmp_path / "pictures", {"a.jpg": b"a"})
    write_lines(tmp_path / "0.jsonl", [_record("a.jpg", "a.jpg")])
    page = _open(tmp_path, "0.jsonl", images="pictures").read(0)
    assert page.chunks == ("", "sentence 0", "sentence 1 sentence 2")
    assert pictures(page) == [b"a", b"a"]


def test_converted_shards_with_sequences_of_chatgpt(tmp_path: Path) -> None:
    generated = {
        "is_gpt": True,
        "example": "_!_IMAGE2_!_ A dog. _!_IMAGE1_!_ A cat.",
        "image_map": {
            f"_!_IMAGE{k}_!_": {"base64_image": base64.b64encode(data).decode(), "caption": "x"}
            for k, data in ((1, b"cat"), (2, b"dog"))
        },
    }
    one = _with_bytes(_record("a.jpg", "b.jpg"), b"a", b"b")
    two = _with_bytes(_record("a.jpg", "b.jpg"), None, b"b")
    broken = _with_bytes(_record("a.jpg", "b.jpg"), b"a", b"b")
    broken["image_info"][0]["image_base64"] = "?"
    _write_converted(tmp_path / "000000000.tar", [one, generated])
    _write_converted(tmp_path / "000000001.tar", [two, broken])
    source = _open(tmp_path, "00000000{0..2}.tar")
    assert [bad.reason for bad in source.problems] == [Reason.MISSING_SHARD]
    assert source.num_examples == 4
    found = [(source.read(n).chunks, pictures(source.read(n))) for n in range(4)]
    assert found == [
        (("", "sentence 0", "sentence 1 sentence 2"), [b"a", b"b"]),
        (("", "A dog.", "A cat."), [b"dog", b"cat"]),
        (("sentence 0", "sentence 1 sentence 2"), [b"b"]),
        (("sentence 0", "sentence 1 sentence 2"), [b"b"]),
    ]
    assert source.read(0).media[0].name.startswith(f"000000000.tar: {uuid.UUID(int=0).hex}")


def test_every_match_of_a_long_page_is_kept(tmp_path: Path) -> None:
    """The pipeline cuts pages to `max_images`, at a place of its own."""
    data = [b"%d" % n for n in range(12)]
    _write_converted(tmp_path / "0.tar", [_with_bytes(_record(*map(str, range(12))), *data)])
    assert pictures(_open(tmp_path, "0.tar").read(0)) == data


def test_small_and_unlike_pictures_are_dropped(tmp_path: Path) -> None:
    record = _with_bytes(_record("a.jpg", "b.jpg"), b"a" * 10_999, b"b" * 11_000)
    _write_converted(tmp_path / "0.tar", [record])
    page = _open(tmp_path, "0.tar", min_image_bytes=11_000).read(0)
    assert page.chunks == ("sentence 0", "sentence 1 sentence 2")
    assert reason(_open(tmp_path, "0.tar", min_similarity=0.31), 0) == "low_similarity"
    assert len(_open(tmp_path, "0.tar", min_similarity=0.3).read(0).media) == 2


def test_pages_of_one_picture_are_drawn_by_number(tmp_path: Path) -> None:
    single = _with_bytes(_record("a.jpg"), b"a")
    double = _with_bytes(_record("a.jpg", "b.jpg"), b"a", b"b")
    generated = {
        "is_gpt": 1,
        "example": "_!_IMAGE1_!_ A cat.",
        "image_map": {"_!_IMAGE1_!_": {"base64_image": "YWJj"}},
    }
    _write_converted(tmp_path / "0.tar", [*[single] * 200, double, generated])

    def kept(**options: Any) -> list[int]:
        source = _open(tmp_path, "0.tar", **options)
        numbers = []
        for number in reversed(range(202)):
            try:
                source.read(number)
                numbers.append(number)
            except BadSample as bad:
                assert bad.reason is Reason.SINGLE_IMAGE
        return numbers

    assert len(kept()) == 202
    assert kept(single_image_probability=0.0) == [201, 200]
    half = kept(single_image_probability=0.5)
    assert 70 < len(half) < 132
    assert half == kept(single_image_probability=0.5)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"image_info": [{"image_name": "../a.jpg"}]}, "unsafe_name"),
        ({"image_info": [{"image_name": "/a.jpg"}]}, "unsafe_name"),
        ({"image_info": [{"image_name": None}]}, "broken_record"),
        ({"image_info": [{}]}, "broken_record"),
        ({"similarity_matrix": [[0.3]]}, "broken_record"),
    ],
)
def test_what_is_refused(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    # "/a.jpg" must not be found as "0/" + "/a.jpg".
    write_files(tmp_path / "pictures", {"a.jpg": b"a", "0/a.jpg": b"a"})
    write_lines(tmp_path / "0.jsonl", [_record("a.jpg"), {**_record("a.jpg"), **change}])
    source = _open(tmp_path, "0.jsonl", images="pictures")
    assert pictures(source.read(0)) == [b"a"]
    assert reason(source, 1) == expected


def test_a_broken_zip_is_a_problem_and_others_stay(tmp_path: Path) -> None:
    write_files(tmp_path / "pictures", {"1/a.jpg": b"one"})
    (tmp_path / "0.zip").write_bytes(b"PK\3\4 not a zip")
    _write_zip(tmp_path / "1.jsonl.zip", [_record("a.jpg")])
    source = _open(tmp_path, "0.zip", "1.jsonl.zip", images="pictures")
    assert [bad.name for bad in source.problems] == ["0.zip"]
    assert pictures(source.read(0)) == [b"one"]
    with pytest.raises(UserError, match=r"config\.data\[mine\]\.paths: no file is whole; 0\.zip"):
        _open(tmp_path, "0.zip", images="pictures")


@pytest.mark.parametrize(
    ("paths", "options", "message"),
    [
        (["0.jsonl"], {}, r"config\.data\[mine\]\.options\.images is empty"),
        (["0.jsonl"], {"images": "nowhere"}, r"\.options\.images is 'nowhere': there is no folder"),
        (["0.tar"], {"images": "pictures"}, r"\.options\.images is 'pictures': expected nothing"),
        (["0.tar", "0.jsonl"], {}, r"\.paths has .*0\.tar': expected files that all end with"),
        (["0.json"], {}, r"\.paths has .*0\.json': expected files that all end with"),
        (["0.tar"], {"min_similarity": 30.0}, r"\.min_similarity is 30: expected at most 1, .*cos"),
        (["0.tar"], {"min_similarity": float("nan")}, r"\.min_similarity is nan: expected at most"),
        ([], {}, r"config\.data\[mine\]\.paths"),
    ],
)
def test_configs_that_do_not_fit(
    tmp_path: Path, paths: list[str], options: dict[str, Any], message: str
) -> None:
    write_files(tmp_path, {"pictures/a.jpg": b"a"})
    write_lines(tmp_path / "0.jsonl", [_record("a.jpg")])
    _write_converted(tmp_path / "0.tar", [_record("a.jpg")])
    with pytest.raises(UserError, match=message):
        _open(tmp_path, *paths, **options)
