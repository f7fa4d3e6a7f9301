"""The manifest: one process at a time, and damage that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.preparation.obelics.manifest import (
    MANIFEST,
    Manifest,
    ShardRecord,
    open_manifest,
    shard_name,
    unfinished_name,
)

SETTINGS = {"max_side": 320}


def finish(manifest: Manifest, shard: int, saved: int) -> None:
    (manifest.folder / unfinished_name(shard)).write_bytes(b"x" * 10)
    manifest.finish(
        ShardRecord(shard=shard, num_bytes=10, documents={"written": 1}, pictures={"saved": saved})
    )


def test_counts_add_up_over_runs(tmp_path: Path) -> None:
    for shard in range(3):
        with open_manifest(tmp_path, SETTINGS) as manifest:
            assert [manifest.is_finished(n) for n in range(3)] == [n < shard for n in range(3)]
            finish(manifest, shard, saved=shard + 1)
    with open_manifest(tmp_path, SETTINGS) as manifest:
        documents, pictures = manifest.totals()
    assert documents == {"written": 3}
    assert pictures == {"saved": 6}


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    with (
        open_manifest(tmp_path, SETTINGS),
        pytest.raises(UserError, match="another process is at work"),
        open_manifest(tmp_path, SETTINGS),
    ):
        pass
    with open_manifest(tmp_path, SETTINGS):
        pass


@pytest.mark.parametrize("change", ["deleted", "cut off"])
def test_a_shard_that_is_gone_counts_no_more(tmp_path: Path, change: str) -> None:
    with open_manifest(tmp_path, SETTINGS) as manifest:
        finish(manifest, 0, saved=1)
        finish(manifest, 1, saved=5)
    if change == "deleted":
        (tmp_path / shard_name(1)).unlink()
    else:
        (tmp_path / shard_name(1)).write_bytes(b"x")
    for _ in range(2):
        with open_manifest(tmp_path, SETTINGS) as manifest:
            assert not manifest.is_finished(1)
            assert manifest.totals()[1] == {"saved": 1}
    with open_manifest(tmp_path, SETTINGS) as manifest:
        finish(manifest, 1, saved=7)
        assert manifest.totals()[1] == {"saved": 8}
    assert (tmp_path / MANIFEST).read_text().count('"shard": 1') == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{not json", "line 2: no record of a shard"),
        ('{"shard": 0}', "line 2: no record of a shard"),
        ('{"shard": "0", "num_bytes": 1, "documents": {}, "pictures": {}}', "line 2"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    with open_manifest(tmp_path, SETTINGS):
        pass
    with (tmp_path / MANIFEST).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(UserError, match=said), open_manifest(tmp_path, SETTINGS):
        pass


def test_a_manifest_without_settings_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text("[]\n")
    with pytest.raises(UserError, match="line 1: no settings"), open_manifest(tmp_path, SETTINGS):
        pass
