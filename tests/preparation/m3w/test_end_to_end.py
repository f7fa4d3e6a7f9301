"""Twelve pages through all rules, in one process and with Beam, and back through our own reader."""

from __future__ import annotations

import gzip
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from flamingo_jax.config import DatasetConfig, SourceOptions
from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.sources import obelics
from flamingo_jax.preparation.m3w import command
from flamingo_jax.preparation.m3w.pages import page_key
from tests.preparation.m3w import crawl
from tests.preparation.m3w.pictures import decoded


def _run(tmp_path: Path, name: str, *arguments: str) -> dict[str, bytes]:
    """Prepares the crawl; the files of the output."""
    if not (tmp_path / "evaluation").exists():
        crawl.write_evaluation(tmp_path / "evaluation")
    evaluation = f"--evaluation_images={tmp_path / 'evaluation'}"
    output = tmp_path / name
    assert command.main([*arguments, f"--output={output}", evaluation, *crawl.OVERRIDES]) == 0
    return {file.name: file.read_bytes() for file in sorted(output.iterdir())}


@pytest.fixture
def html(tmp_path: Path) -> str:
    crawl.write_folder(tmp_path)
    return f"--input={tmp_path / 'site'}/*.html"


@pytest.fixture
def warc(tmp_path: Path) -> str:
    pytest.importorskip("warcio", reason="reads WARC files")
    records = [*crawl.warc_records(), crawl.older_page()]
    half = len(records) // 2
    (tmp_path / "a.warc.gz").write_bytes(b"".join(map(gzip.compress, records[:half])))
    (tmp_path / "b.warc").write_bytes(b"".join(records[half:]))
    return f"--input={tmp_path}/*.warc*"


def _records(files: dict[str, bytes], folder: Path) -> dict[str, dict[str, object]]:
    """{address of a page: its record}."""
    found = {}
    for name in files:
        if name.endswith(".tar"):
            with tarfile.open(folder / name) as tar:
                for member in tar.getmembers():
                    if member.name.endswith(".json"):
                        file = tar.extractfile(member)
                        assert file is not None
                        record = json.loads(file.read())
                        assert member.name == f"{page_key(record['url'])}.json"
                        found[record["url"]] = record
    return found


def test_yield_by_hand(tmp_path: Path, html: str) -> None:
    files = _run(tmp_path, "out", html)
    found = json.loads(files["yield.json"])
    assert found["pages"] == {
        "in": crawl.PAGES_IN, "out": crawl.PAGES_OUT, "dropped": crawl.PAGES_DROPPED,
    }  # fmt: skip
    assert found["images"] == {
        "in": crawl.IMAGES_IN, "out": crawl.IMAGES_OUT, "dropped": crawl.IMAGES_DROPPED,
    }  # fmt: skip
    assert found["settings"]["min_words"] == 50
    assert found["settings"]["embedder"] == "thumbnail"
    assert "| not_english | 1 | 8.3% |" in files["yield.md"].decode()
    records = _records(files, tmp_path / "out")
    assert set(records) == {f"file:///{name}.html" for name in crawl.KEPT}


def test_records_hold_texts_and_pictures_in_order(tmp_path: Path, html: str) -> None:
    records = _records(_run(tmp_path, "out", html), tmp_path / "out")
    good = records["file:///good.html"]
    assert good["images"] == [None, "file:///img/a.jpg", None, "file:///img/b.png"]
    texts = good["texts"]
    assert isinstance(texts, list)
    assert [text is None for text in texts] == [False, True, False, True]
    assert texts[0].startswith("Otters of the river\n\n") and texts[0].count("\n\n") == 6
    mixed = records["file:///mixed.html"]
    assert mixed["images"] == [None, "file:///img/c.jpg", None, "file:///img/c.jpg"]
    assert records["file:///malformed.html"]["images"] == [None, "file:///img/a.jpg"]


def test_our_own_reader_reads_the_shards(tmp_path: Path, html: str) -> None:
    _run(tmp_path, "out", html)
    source = obelics.source(
        DatasetConfig(
            name="m3w", source="pages/obelics", batch_size=1, loss_weight=1.0, max_text_length=256,
            max_images=5, image_size=32, paths=(f"{tmp_path}/out/m3w-{{00000..00002}}.tar",),
            options=SourceOptions(index_dir=str(tmp_path / "index")),
        )
    )  # fmt: skip
    assert (source.num_examples, source.problems) == (crawl.PAGES_OUT, ())
    assert source.num_examples is not None
    sizes, refused = set(), []
    for number in range(source.num_examples):
        try:
            example = source.read(number)
        except BadSample as bad:
            refused.append(bad.reason)
            continue
        for media in example.media:
            assert isinstance(media, EncodedImage)
            sizes.add(decoded(media.data).shape)
    # The only picture of "small" and of "malformed" stands at their end, where no token sees it.
    assert refused == [Reason.NO_TEXT_AFTER_IMAGE] * 2
    # The large picture was shrunk to 640 pixels, the others stayed as they were.
    assert sizes == {(480, 640, 3), (80, 96, 3)}


def test_two_runs_write_the_same_bytes(tmp_path: Path, html: str) -> None:
    first = _run(tmp_path, "first", html)
    assert first == _run(tmp_path, "second", html)
    assert [name for name in first if name.endswith(".tar")] == [
        f"m3w-0000{number}.tar" for number in range(3)
    ]


def test_warc_files_give_what_html_files_give(tmp_path: Path, html: str, warc: str) -> None:
    from_html = _run(tmp_path, "html", html)
    from_warc = _run(tmp_path, "warc", warc)
    found = json.loads(from_warc["yield.json"])
    # The older version of a page that is kept counts with its one picture.
    expected = json.loads(from_html["yield.json"])
    expected["pages"]["in"] += 1
    expected["images"]["in"] += 1
    expected["pages"]["dropped"]["same_address"] = 1
    expected["images"]["dropped"]["page_dropped"] += 1
    assert found == expected
    records = _records(from_warc, tmp_path / "warc")
    assert set(records) == {f"{crawl.SITE}/{name}.html" for name in crawl.KEPT}
    others = _records(from_html, tmp_path / "html")
    for name in crawl.KEPT:
        record, other = records[f"{crawl.SITE}/{name}.html"], others[f"file:///{name}.html"]
        assert record["texts"] == other["texts"]
        assert str(record["images"]).replace(crawl.SITE, "file://") == str(other["images"])


def test_order_of_the_input_does_not_matter(tmp_path: Path, warc: str) -> None:
    first = _run(tmp_path, "first", warc)
    records = [*crawl.warc_records(), crawl.older_page()]
    (tmp_path / "turned").mkdir()
    (tmp_path / "turned" / "x.warc").write_bytes(b"".join(reversed(records)))
    assert first == _run(tmp_path, "second", f"--input={tmp_path}/turned/*.warc")


def test_pictures_of_warc_pages_may_lie_in_a_folder(tmp_path: Path, warc: str) -> None:
    expected = _run(tmp_path, "first", warc)
    folder = tmp_path / "pictures" / "example.org" / "img"
    folder.mkdir(parents=True)
    for name, data in crawl.PICTURES.items():
        (folder / name).write_bytes(data)
    found = _run(tmp_path, "second", warc, f"--images={tmp_path / 'pictures'}")
    assert found == expected


@pytest.mark.parametrize("kind", ["html", "warc"])
@pytest.mark.parametrize("options", [(), ("--direct_num_workers=2",
                                         "--direct_running_mode=multi_threading")])  # fmt: skip
def test_beam_writes_the_same_bytes(
    tmp_path: Path, kind: str, options: Sequence[str], request: pytest.FixtureRequest
) -> None:
    pytest.importorskip("apache_beam", reason="runs on Apache Beam")
    argument = request.getfixturevalue(kind)
    expected = _run(tmp_path, "local", argument)
    assert _run(tmp_path, "beam", argument, "--runner=DirectRunner", *options) == expected


def test_a_folder_with_shards_is_refused(tmp_path: Path, html: str) -> None:
    _run(tmp_path, "out", html)
    with pytest.raises(UserError, match="m3w-00000.tar' of another run"):
        _run(tmp_path, "out", html)
