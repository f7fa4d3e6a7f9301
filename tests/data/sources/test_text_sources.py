"""Documents out of files and lines: what is read, what is refused, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamingo_jax.config import DatasetConfig, SourceOptions
from flamingo_jax.core.errors import UserError
from flamingo_jax.data.bad_samples import BadSample, Reason
from flamingo_jax.data.sources import catalog, text_sources
from flamingo_jax.data.sources.source import Content, Source


def open_text(folder: Path, source: str, *paths: str, **options: str) -> Source:
    options = {"index_dir": str(folder / "index"), **options}
    dataset = DatasetConfig(
        name="mine",
        source=source,
        batch_size=2,
        loss_weight=1.0,
        max_text_length=32,
        paths=paths,
        data_dir=str(folder),
        options=SourceOptions(**options),
    )
    return catalog.open_source(dataset, "language_model")


def refusal(source: Source, n: int) -> tuple[Reason, str]:
    with pytest.raises(BadSample) as caught:
        source.read(n)
    return caught.value.reason, str(caught.value)


def test_every_file_is_a_document(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.txt").write_text("  First.\n\nIt has two parts.\n", "utf-8")
    (tmp_path / "b" / "c.txt").write_bytes(b"\xef\xbb\xbf" + "Grüße, 世界".encode())
    source = open_text(tmp_path, "text/files", "**/*.txt")
    assert source.content is Content.LONG_TEXT
    assert source.num_examples == 2
    assert [source.read(n).chunks for n in (1, 0, 1)] == [
        ("Grüße, 世界",), ("First.\n\nIt has two parts.",), ("Grüße, 世界",)
    ]  # fmt: skip
    assert len(source.read(0).media) == 0


def test_files_that_are_no_documents_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {
        "0.txt": "caf\u00e9".encode("latin-1"),
        "1.txt": "text".encode("utf-16"),
        "2.txt": b" \n\t ",
        "3.txt": b"",
        "4.txt": b"x" * 101,
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "6.txt").mkdir()
    monkeypatch.setattr(text_sources, "MAX_FILE_BYTES", 100)
    source = open_text(tmp_path, "text/files", "{0..6}.txt")
    reasons = [
        Reason.NOT_UTF8, Reason.NOT_UTF8, Reason.EMPTY_TEXT, Reason.EMPTY_TEXT,
        Reason.BROKEN_RECORD, Reason.MISSING_TEXT, Reason.BROKEN_RECORD,
    ]  # fmt: skip
    for n, expected in enumerate(reasons):
        reason, message = refusal(source, n)
        assert reason is expected, message
        assert f"{n}.txt" in message
    assert "text/json_lines" in refusal(source, 4)[1]
    (tmp_path / "4.txt").write_bytes(b"x" * 100)
    assert source.read(4).chunks == ("x" * 100,)


LINES = [
    json.dumps({"text": " One. ", "url": "a"}),
    "",
    json.dumps({"body": "Two."}),
    json.dumps({"text": None}),
    json.dumps({"text": 3}),
    json.dumps({"text": "  "}),
    json.dumps({"text": "\ud800"}),
    json.dumps(["text"]),
    "{",
    "[" * 100_000,
    '{"text": "Last."}',
]


def write_lines(file: Path) -> None:
    file.write_bytes("\n".join(LINES).encode() + b'\n{"text": "\xff"}')


def test_a_field_of_every_line_is_a_document(tmp_path: Path) -> None:
    write_lines(tmp_path / "some.jsonl")
    (tmp_path / "more.jsonl").write_text(json.dumps({"text": "More."}), "utf-8")
    source = open_text(tmp_path, "text/json_lines", "some.jsonl", "more.jsonl")
    assert source.content is Content.LONG_TEXT
    assert source.num_examples == len(LINES) + 1  # The empty line does not count.
    good = {0: "One.", 9: "Last.", 11: "More."}
    for n, text in good.items():
        assert source.read(n).chunks == (text,)
    bad = {
        1: Reason.MISSING_TEXT,
        2: Reason.MISSING_TEXT,
        3: Reason.BROKEN_RECORD,
        4: Reason.EMPTY_TEXT,
        5: Reason.NOT_UTF8,
        6: Reason.BROKEN_RECORD,
        7: Reason.BROKEN_RECORD,
        8: Reason.BROKEN_RECORD,
        10: Reason.NOT_UTF8,
    }
    assert sorted(good | bad) == list(range(source.num_examples))
    for n, expected in bad.items():
        reason, message = refusal(source, n)
        assert reason is expected, message
        assert message.startswith(f"some.jsonl: line {n + 2}: ")
    assert "'body'" in refusal(source, 1)[1]


def test_the_field_is_the_configs(tmp_path: Path) -> None:
    write_lines(tmp_path / "some.jsonl")
    source = open_text(tmp_path, "text/json_lines", "some.jsonl", text_field="body")
    assert source.read(1).chunks == ("Two.",)
    assert refusal(source, 0)[0] is Reason.MISSING_TEXT


def test_missing_shards_are_problems(tmp_path: Path) -> None:
    for number in (0, 2):
        write_lines(tmp_path / f"{number}.jsonl")
    source = open_text(tmp_path, "text/json_lines", "{0..2}.jsonl")
    assert [problem.reason for problem in source.problems] == [Reason.MISSING_SHARD]
    assert source.num_examples == 2 * (len(LINES))


@pytest.mark.parametrize("name", ["text/files", "text/json_lines"])
@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ((), r"^config\.data\[mine\]\.paths is empty"),
        (("*.txt",), r"^config\.data\[mine\]\.paths: no file matches '\*\.txt'"),
    ],
)
def test_no_file_is_told_at_opening(
    tmp_path: Path, name: str, paths: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        open_text(tmp_path, name, *paths)


@pytest.mark.parametrize(
    ("stage", "source", "fields", "message"),
    [
        (
            "language_model",
            "world/text",
            {"documents_per_row": 5},
            r"\.documents_per_row is 5: expected at most 4, 8 tokens of max_text_length for each",
        ),
        (
            "flamingo",
            "world/clean_pairs",
            {"documents_per_row": 2},
            r"\.documents_per_row is 2: expected 1: only texts share rows",
        ),
    ],
)
def test_what_does_not_go_with_text_is_named(
    stage: str, source: str, fields: dict[str, Any], message: str
) -> None:
    dataset = DatasetConfig(
        name="mine", source=source, batch_size=4, loss_weight=1.0, max_text_length=32, **fields
    )
    with pytest.raises(UserError, match=message):
        catalog.open_source(dataset, stage)
    if stage == "language_model":
        allowed = DatasetConfig(**(vars(dataset) | {"documents_per_row": 4}))
        assert catalog.open_source(allowed, stage).content is Content.TEXT


def prepare_tfds(folder: Path, texts: list[str]) -> None:
    """A dataset "notes" in TFDS's own form."""
    import tensorflow_datasets as tfds

    (folder / "notes/1.0.0").mkdir(parents=True)
    features = {"text": tfds.features.Text(), "title": tfds.features.Text(), "year": np.int64}
    identity = tfds.core.DatasetIdentity(
        name="notes",
        version=tfds.core.Version("1.0.0"),
        data_dir=str(folder / "notes/1.0.0"),
        module_name=__name__,
    )
    info = tfds.core.DatasetInfo(builder=identity, features=tfds.features.FeaturesDict(features))
    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=2)
    writer.initialize_splits(["train"])
    examples = [{"text": text, "title": f"T{n}", "year": n} for n, text in enumerate(texts)]
    writer.add_examples({"train": examples})
    writer.close_all()


def test_examples_of_tfds_are_documents(tmp_path: Path) -> None:
    prepare_tfds(tmp_path / "tfds", ["One, ä.", "  ", "Three.\n\nTwo parts."])
    source = open_text(tmp_path, "text/tfds", "notes", images="tfds")
    assert (source.content, source.num_examples) == (Content.LONG_TEXT, 3)
    assert source.read(2).chunks == ("Three.\n\nTwo parts.",)
    assert source.read(0).chunks == ("One, ä.",)
    assert refusal(source, 1)[0] is Reason.EMPTY_TEXT
    titles = open_text(tmp_path, "text/tfds", "notes:1.0.0", images="tfds", text_field="title")
    assert [titles.read(n).chunks for n in range(3)] == [("T0",), ("T1",), ("T2",)]
    with pytest.raises(UserError, match=r"\.options\.text_field is 'year', a .*: expected a Text"):
        open_text(tmp_path, "text/tfds", "notes", images="tfds", text_field="year")
    with pytest.raises(UserError, match=r"config\.data\[mine\]\.paths: TFDS has not prepared"):
        open_text(tmp_path, "text/tfds", "nothing", images="tfds")
