"""Files of the web with all that can be wrong with them, through the whole reader."""

from __future__ import annotations

import io
import itertools
import json
import struct
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flamingo_jax.config import DatasetConfig, SourceOptions
from flamingo_jax.core.errors import UserError
from flamingo_jax.data import mixtures, vocabulary
from flamingo_jax.data.bad_samples import Tally
from flamingo_jax.data.sources import catalog

WORLD = vocabulary.load("world")
SIZE = 16
NUM_GOOD = 60


def picture(kind: str = "JPEG", mode: str = "RGB", **how: Any) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    if mode == "I;16":
        image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    elif mode != "RGB":
        image = image.convert(mode)
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def animation() -> bytes:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def bomb(width: int = 30_000, height: int = 30_000) -> bytes:
    """A PNG of a few hundred bytes whose pixels would fill gigabytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


GOOD = picture()
# Members of one sample -> the reason for which it is refused; None: it is fine.
SAMPLES: dict[str, tuple[dict[str, bytes], str | None]] = {
    "cmyk": ({"jpg": picture(mode="CMYK"), "txt": b"a cat"}, None),
    "grey_of_16_bits": ({"png": picture("PNG", mode="I;16"), "txt": b"a cat"}, None),
    "animation": ({"jpg": animation(), "txt": b"a cat"}, None),
    "wrong_extension": ({"png": GOOD, "txt": b"a cat"}, None),
    "webp": ({"webp": picture("WEBP"), "txt": b"a cat"}, None),
    "truncated": ({"jpg": GOOD[: len(GOOD) // 2], "txt": b"a cat"}, "truncated_image"),
    "empty": ({"jpg": b"", "txt": b"a cat"}, "empty_file"),
    "html": ({"jpg": b"<!DOCTYPE html><html></html>", "txt": b"a cat"}, "not_an_image"),
    "bomb": ({"png": bomb(), "txt": b"a cat"}, "image_too_large"),
    "not_utf8": ({"jpg": GOOD, "txt": b"caf\xe9"}, "not_utf8"),
    "empty_caption": ({"jpg": GOOD, "txt": b" \n"}, "empty_text"),
    "no_caption": ({"jpg": GOOD}, "missing_text"),
    "no_picture": ({"txt": b"a cat", "json": b"{}"}, "missing_media"),
}


def write_shard(path: Path, samples: dict[str, dict[str, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for key, members in samples.items():
            for suffix, data in members.items():
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def make_dataset(folder: Path, source: str, paths: tuple[str, ...], **fields: Any) -> DatasetConfig:
    sizes = {"batch_size": 1, "loss_weight": 1.0, "max_text_length": 40, "image_size": SIZE}
    options = SourceOptions(index_dir=str(folder / "indexes"))
    defaults = {"name": "mine", "max_bad_share": 1.0, "shuffle": False, "options": options}
    return DatasetConfig(
        source=source, paths=paths, data_dir=str(folder), **(sizes | defaults | fields)
    )


def refused(dataset: DatasetConfig) -> dict[str, int]:
    """Reasons and counts of one pass over the files, each example looked at once."""
    source = catalog.open_source(dataset, "flamingo")
    assert source.num_examples is not None
    tally = Tally("mine", 1.0)
    batches = mixtures.batches(dataset, WORLD, "flamingo", num_threads=1, tally=tally)
    for batch, _ in itertools.islice(batches, source.num_examples):
        assert batch["media"].any()
        assert batch["loss_weight"].any()
    prefix = "data/mine/refused/"
    return {
        name.removeprefix(prefix): count
        for name, count in tally.metrics().items()
        if name.startswith(prefix)
    }


@pytest.mark.parametrize("name", SAMPLES)
def test_a_bad_member_is_refused_for_its_reason_alone(name: str, tmp_path: Path) -> None:
    members, reason = SAMPLES[name]
    good = {f"good_{number}": {"jpg": GOOD, "txt": b"a cat"} for number in range(NUM_GOOD)}
    write_shard(tmp_path / "0.tar", {name: members} | good)
    found = refused(make_dataset(tmp_path, "pairs/webdataset", ("0.tar",)))
    # A substitute may be the bad one itself, seldom.
    assert set(found) == ({reason} if reason else set())
    assert all(count <= 3 for count in found.values())


def test_a_bad_sample_does_not_change_its_neighbours(tmp_path: Path) -> None:
    captions = {f"good_{number}": f"number {number}".encode() for number in range(20)}
    good = {key: {"jpg": GOOD, "txt": text} for key, text in captions.items()}
    write_shard(tmp_path / "0.tar", good)
    write_shard(tmp_path / "1.tar", good | {"good_7": SAMPLES["truncated"][0]})

    def texts(shard: str) -> list[str]:
        dataset = make_dataset(tmp_path, "pairs/webdataset", (shard,))
        batches = itertools.islice(mixtures.batches(dataset, WORLD, "flamingo"), 20)
        return [WORLD.decode(batch["text"][0]) for batch, _ in batches]

    whole, holed = texts("0.tar"), texts("1.tar")
    assert [n for n in range(20) if whole[n] != holed[n]] == [7]


def test_a_truncated_and_a_missing_shard(tmp_path: Path) -> None:
    samples = {f"{number:03d}": {"jpg": GOOD, "txt": b"a cat"} for number in range(30)}
    for shard in (0, 1, 3):
        write_shard(tmp_path / f"{shard}.tar", samples)
    data = (tmp_path / "1.tar").read_bytes()
    (tmp_path / "1.tar").write_bytes(data[: len(data) // 2])
    dataset = make_dataset(tmp_path, "pairs/webdataset", ("{0..3}.tar",))
    source = catalog.open_source(dataset, "flamingo")
    assert source.num_examples is not None
    assert 60 < source.num_examples < 90
    found = refused(dataset)
    # The cut may have gone through a sample, between its picture and its text.
    assert found.pop("missing_text", 1) == 1
    assert found == {"missing_shard": 1, "truncated_shard": 1}


def test_names_that_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(GOOD)
    data = tmp_path / "data"
    data.mkdir()
    (data / "cat.jpg").write_bytes(GOOD)
    names = ["../secret.jpg", str(tmp_path / "secret.jpg"), "cat.jpg", *["cat.jpg"] * 40]
    lines = [json.dumps({"image": name, "text": "a cat"}) for name in names]
    (data / "pairs.jsonl").write_text("\n".join(lines))
    found = refused(make_dataset(data, "pairs/json_lines", ("pairs.jsonl",)))
    assert set(found) == {"unsafe_name"}


def test_pages_without_anything_to_learn(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(GOOD)
    image, text = {"image": "cat.jpg"}, {"text": "a cat"}
    pages: list[Any] = [
        [text],
        [{"image": "gone.jpg"}, text],
        [text, image],
        [],
        3,
        *[[image, text]] * 40,
    ]
    lines = [json.dumps(page) for page in pages] + ['[{"text": "a']
    (tmp_path / "pages.jsonl").write_text("\n".join(lines))
    found = refused(make_dataset(tmp_path, "pages/json_lines", ("pages.jsonl",)))
    assert set(found) == {"no_image", "no_text_after_image", "broken_record"}
    assert found["broken_record"] >= 2


def test_unreadable_videos(tmp_path: Path) -> None:
    pytest.importorskip("av")
    members = {"mp4": b"no video at all", "txt": b"a cat"}
    write_shard(tmp_path / "0.tar", {str(number): members for number in range(3)})
    dataset = make_dataset(tmp_path, "clips/webdataset", ("0.tar",), num_frames=2)
    tally = Tally("mine", 1.0)
    with pytest.raises(UserError, match="unreadable_video"):
        next(mixtures.batches(dataset, WORLD, "flamingo", num_threads=1, tally=tally))
    assert tally.metrics()["data/mine/refused/unreadable_video"] > 2


def test_the_limit_of_the_config_stops_the_run(tmp_path: Path) -> None:
    good = {f"good_{number}": {"jpg": GOOD, "txt": b"a cat"} for number in range(80)}
    bad = {f"bad_{number}": SAMPLES["html"][0] for number in range(20)}
    write_shard(tmp_path / "0.tar", bad | good)
    fields = {"max_bad_share": 0.15, "batch_size": 10}
    dataset = make_dataset(tmp_path, "pairs/webdataset", ("0.tar",), **fields)
    expected = r"dataset 'mine': \d+ of \d+ examples are bad \(not_an_image \d+\).*0.tar: bad_\d+"
    with pytest.raises(UserError, match=expected):
        for _ in itertools.islice(mixtures.batches(dataset, WORLD, "flamingo"), 30):
            pass
