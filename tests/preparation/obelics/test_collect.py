"""`prepare obelics`: what is in the shards, exact counts, and kills at any moment."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from flamingo_jax.config import DatasetConfig, SourceOptions
from flamingo_jax.core.errors import UserError
from flamingo_jax.data.media import EncodedImage
from flamingo_jax.data.ops import decode
from flamingo_jax.data.sources import catalog
from flamingo_jax.preparation.obelics import command, manifest, pictures
from flamingo_jax.preparation.obelics.manifest import MANIFEST
from tests.preparation.obelics import parquet_files
from tests.preparation.obelics.picture_server import PictureServer, serving

REPOSITORY = Path(__file__).parents[3]
FAST = ("--allow_private", "--timeout=0.5", "--retries=0", "--threads=4")


@pytest.fixture
def server() -> Iterator[PictureServer]:
    with serving() as server:
        yield server


def run(pattern: Path, output: Path, *arguments: str) -> int:
    return command.main([f"--input={pattern}", f"--output={output}", *FAST, *arguments])


def members(shard: Path) -> dict[str, bytes]:
    with tarfile.open(shard) as tar:
        found = {}
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None and member.name not in found
            found[member.name] = file.read()
        return found


def records(folder: Path) -> list[dict[str, object]]:
    lines = (folder / MANIFEST).read_text().splitlines()
    return [json.loads(line) for line in lines[1:]]


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("*") if file.suffix != ".lock"}


def test_every_outcome_is_counted_and_only_pictures_are_kept(
    server: PictureServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = server.url
    parquet_files.write(
        tmp_path / "a.parquet",
        [
            ["first", f"{url}/good/a", "middle", f"{url}/missing", f"{url}/redirect", "last"],
            [f"{url}/html", "alone", f"{url}/half_a_picture", f"{url}/empty"],
            [f"{url}/good/b", f"{url}/endless", f"{url}/loop", f"{url}/slow", "http:nonsense"],
        ],
    )
    assert run(tmp_path / "a.parquet", tmp_path / "out", "--max_bytes=1000000") == 0
    (record,) = records(tmp_path / "out")
    assert record["documents"] == {"written": 2, "without_picture": 1}
    assert record["pictures"] == {
        "saved": 3,
        "http_404": 1,
        "not_an_image": 1,
        "truncated_image": 1,
        "empty_file": 1,
        "too_large": 1,
        "too_many_redirects": 1,
        "timeout": 1,
        "bad_url": 1,
    }
    found = members(tmp_path / "out" / "000000.tar")
    assert list(found) == [
        "0000000000.json", "0000000000.1.jpg", "0000000000.4.jpg",
        "0000000002.json", "0000000002.0.jpg",
    ]  # fmt: skip
    document = json.loads(found["0000000000.json"])
    assert document["texts"] == ["first", None, "middle", None, None, "last"]
    assert document["images"][3] == f"{url}/missing"
    assert document["url"] == "https://page.example/0"
    assert document["metadata"][1]["src"] == f"{url}/good/a"
    with Image.open(io.BytesIO(found["0000000002.0.jpg"])) as picture:
        assert picture.format == "JPEG"
        assert picture.size == (320, 240)
    said = capsys.readouterr().out
    assert "http_404" in said and "10.0%" not in said.split("pictures")[0]


def test_the_source_reads_what_was_written_without_missing_pictures(
    server: PictureServer, tmp_path: Path
) -> None:
    url = server.url
    parquet_files.write(
        tmp_path / "a.parquet",
        [
            ["alone", f"{url}/missing"],
            ["before", f"{url}/good/a", f"{url}/html", "after", f"{url}/good/b", "last"],
        ],
    )
    assert run(tmp_path / "a.parquet", tmp_path / "out") == 0
    dataset = DatasetConfig(
        name="pages", source="pages/obelics", batch_size=1, loss_weight=1.0, max_text_length=64,
        max_images=5, image_size=32, paths=(f"{tmp_path}/out/*.tar",),
        options=SourceOptions(index_dir=str(tmp_path / "index")),
    )  # fmt: skip
    source = catalog.SOURCES["pages/obelics"](dataset)
    assert source.num_examples == 1 and not source.problems
    example = source.read(0)
    assert [chunk.strip() for chunk in example.chunks] == ["before", "after", "last"]
    assert len(example.media) == 2
    assert decode.decode(example.media[1], 1, 32, 1.0).shape == (1, 32, 32, 3)


def test_documents_are_numbered_over_all_files_and_limited(
    server: PictureServer, tmp_path: Path
) -> None:
    for name, count in (("a", 5), ("b", 3), ("c", 9)):
        documents = [[f"text {name}{n}", f"{server.url}/good/{name}{n}"] for n in range(count)]
        parquet_files.write(tmp_path / f"{name}.parquet", documents, rows_a_group=2)
    assert run(tmp_path / "*.parquet", tmp_path / "out", "--shard_size=4", "--limit=11") == 0
    texts = {}
    for shard in sorted((tmp_path / "out").glob("*.tar")):
        for name, data in members(shard).items():
            if name.endswith(".json"):
                texts[name] = (shard.name, json.loads(data)["texts"][0])
    expected = [f"text a{n}" for n in range(5)] + [f"text b{n}" for n in range(3)]
    expected += [f"text c{n}" for n in range(3)]
    assert texts == {
        f"{n:010d}.json": (f"{n // 4:06d}.tar", text) for n, text in enumerate(expected)
    }


def test_rows_that_are_no_documents_are_counted(server: PictureServer, tmp_path: Path) -> None:
    good = f"{server.url}/good/a"
    table = pa.table(
        {
            "images": pa.array([[good], [good, None], None, [good]], parquet_files.STRINGS),
            "texts": pa.array([[None], [None], [None], ["both"]], parquet_files.STRINGS),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert run(tmp_path / "a.parquet", tmp_path / "out") == 0
    (record,) = records(tmp_path / "out")
    assert record["documents"] == {"written": 1, "broken_record": 3}
    assert record["pictures"] == {"saved": 1}


def test_a_lack_of_memory_costs_one_picture(
    server: PictureServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shrink(image: EncodedImage, max_side: int) -> bytes:
        if image.name.endswith("b"):
            raise MemoryError
        return b"jpeg"

    monkeypatch.setattr(pictures, "kept_jpeg", shrink)
    parquet_files.write(tmp_path / "a.parquet", [[f"{server.url}/good/a", f"{server.url}/good/b"]])
    assert run(tmp_path / "a.parquet", tmp_path / "out") == 0
    assert records(tmp_path / "out")[0]["pictures"] == {"image_too_large": 1, "saved": 1}


def test_nothing_saved_is_an_exit_code(server: PictureServer, tmp_path: Path) -> None:
    parquet_files.write(tmp_path / "a.parquet", [["text", f"{server.url}/missing"]])
    assert run(tmp_path / "a.parquet", tmp_path / "out") == command.NOTHING_SAVED_EXIT_CODE


def test_private_addresses_are_refused_unless_allowed(
    server: PictureServer, tmp_path: Path
) -> None:
    parquet_files.write(tmp_path / "a.parquet", [[f"{server.url}/good/a"]])
    command.main([f"--input={tmp_path / 'a.parquet'}", f"--output={tmp_path / 'out'}"])
    assert records(tmp_path / "out")[0]["pictures"] == {"private_address": 1}
    assert server.asked.total() == 0


def test_one_host_is_asked_for_few_pictures_at_the_same_time(
    server: PictureServer, tmp_path: Path
) -> None:
    server.good_delay = 0.02
    parquet_files.write(tmp_path / "a.parquet", [[f"{server.url}/good/{n}" for n in range(24)]])
    assert run(tmp_path / "a.parquet", tmp_path / "out", "--threads=16", "--per_host=3") == 0
    assert server.most_under_way == 3


def _many_documents(server: PictureServer, path: Path) -> None:
    documents = [
        [
            f"text {n}",
            *(f"{server.url}/good/{n}-{i}" for i in range(3)),
            f"{server.url}/missing/{n}",
        ]
        for n in range(40)
    ]
    parquet_files.write(path, documents)


def _start(pattern: Path, output: Path) -> subprocess.Popen[bytes]:
    arguments = [f"--input={pattern}", f"--output={output}", *FAST, "--shard_size=8"]
    return subprocess.Popen(
        [sys.executable, "-c",
         "import sys; from flamingo_jax.preparation.obelics import command;"
         " sys.exit(command.main(sys.argv[1:]))", *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _is_writing_after(num_shards: int, output: Path) -> bool:
    """Whether so many shards are finished and the next one is half-written."""
    return len(list(output.glob("*.tar"))) >= num_shards and any(output.glob(".*.unfinished"))


def test_after_a_kill_finished_shards_are_not_fetched_again(
    server: PictureServer, tmp_path: Path
) -> None:
    parquet, output = tmp_path / "a.parquet", tmp_path / "out"
    _many_documents(server, parquet)
    assert run(parquet, tmp_path / "whole", "--shard_size=8") == 0
    whole = contents(tmp_path / "whole")

    server.good_delay = 0.02
    for shards_at_kill in (1, 3):
        process = _start(parquet, output)
        deadline = time.monotonic() + 30
        while not _is_writing_after(shards_at_kill, output):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    finished = [int(str(record["shard"])) for record in records(output)]
    assert 3 <= len(finished) < 5

    server.asked.clear()
    assert run(parquet, output, "--shard_size=8") == 0
    asked = {path for path in server.asked if path.startswith("/good")}
    unfinished = [n for n in range(40) if n // 8 not in finished]
    assert asked == {f"/good/{n}-{i}" for n in unfinished for i in range(3)}
    assert set(server.asked.values()) == {1}
    assert contents(output) == whole


@pytest.mark.parametrize("moment", ["before the record", "after the record", "after the name"])
def test_a_kill_at_the_end_of_a_shard_loses_and_doubles_nothing(
    server: PictureServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    parquet, output = tmp_path / "a.parquet", tmp_path / "out"
    _many_documents(server, parquet)
    assert run(parquet, tmp_path / "whole", "--shard_size=8") == 0
    whole = contents(tmp_path / "whole")

    class Killed(BaseException):
        pass

    with monkeypatch.context() as patched:
        if moment == "after the record":
            patched.setattr(manifest, "_settle", lambda folder, record: False)
        patched.setattr(manifest.Manifest, "finish", _killed_at(moment, Killed))
        with pytest.raises(Killed):
            run(parquet, output, "--shard_size=8")
    server.asked.clear()
    assert run(parquet, output, "--shard_size=8") == 0
    fetched_again = "/good/0-0" in server.asked
    assert fetched_again is (moment == "before the record")
    assert contents(output) == whole


def _killed_at(moment: str, killed: type[BaseException]) -> object:
    real = manifest.Manifest.finish

    def finish(self: manifest.Manifest, record: manifest.ShardRecord) -> None:
        if moment != "before the record":
            real(self, record)
        raise killed

    return finish


def test_a_line_that_a_kill_cut_off_is_made_again(server: PictureServer, tmp_path: Path) -> None:
    parquet, output = tmp_path / "a.parquet", tmp_path / "out"
    _many_documents(server, parquet)
    assert run(parquet, output, "--shard_size=8") == 0
    whole = contents(output)
    lines = (output / MANIFEST).read_bytes()
    (output / MANIFEST).write_bytes(lines[:-7])
    server.asked.clear()
    assert run(parquet, output, "--shard_size=8") == 0
    assert server.asked.total() == 32
    assert contents(output) == whole


def test_a_finished_folder_is_left_alone_and_its_yields_are_told_again(
    server: PictureServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parquet, output = tmp_path / "a.parquet", tmp_path / "out"
    _many_documents(server, parquet)
    run(parquet, output, "--shard_size=8")
    first = capsys.readouterr().out
    server.asked.clear()
    assert run(parquet, output, "--shard_size=8") == 0
    assert capsys.readouterr().out == first
    assert server.asked.total() == 0
    (output / "000002.tar").unlink()
    assert run(parquet, output, "--shard_size=8") == 0
    assert server.asked.total() == 32
    assert capsys.readouterr().out == first


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--max_side=64"], "begun with --max_side of 320"),
        (["--shard_size=9"], "begun with --shard_size of 8"),
        (["--limit=3"], "begun with --limit of 0"),
    ],
)
def test_other_settings_are_refused(
    server: PictureServer, tmp_path: Path, arguments: list[str], said: str
) -> None:
    parquet, output = tmp_path / "a.parquet", tmp_path / "out"
    _many_documents(server, parquet)
    run(parquet, output, "--shard_size=8")
    with pytest.raises(UserError, match=said):
        run(parquet, output, "--shard_size=8", *arguments)


def test_other_files_are_refused(server: PictureServer, tmp_path: Path) -> None:
    _many_documents(server, tmp_path / "a.parquet")
    run(tmp_path / "a.parquet", tmp_path / "out")
    (tmp_path / "a.parquet").rename(tmp_path / "b.parquet")
    with pytest.raises(UserError, match="begun with --input of other files"):
        run(tmp_path / "b.parquet", tmp_path / "out")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"url": pa.array(["x"])}, "no column 'images', only url"),
        (
            {"images": pa.array([[b"x"]]), "texts": pa.array([["x"]])},
            "files that hold the pictures need no preparation",
        ),
    ],
)
def test_files_of_another_kind_are_refused(
    tmp_path: Path, columns: dict[str, pa.Array], said: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=said):
        run(tmp_path / "a.parquet", tmp_path / "out")


def test_what_is_no_parquet_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(UserError, match="is no parquet file that can be read"):
        run(tmp_path / "a.parquet", tmp_path / "out")
    with pytest.raises(UserError, match="--input"):
        run(tmp_path / "b.parquet", tmp_path / "out")


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--threads=0", "argument --threads: '0': expected a whole number, 1 or more"),
        ("--timeout=nan", "argument --timeout: 'nan': expected a number above 0"),
        ("--contact=a\nb", "expected printable ASCII"),
        ("--tread=3", "unrecognized arguments: --tread=3"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path: Path, argument: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        run(tmp_path / "a.parquet", tmp_path / "out", argument)
    assert said in str(caught.value)
