"""Atomic writing, folders, content hashes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.core.files import content_hash, prepare_folder, write_atomic


def test_write_atomic_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "config.txt"
    write_atomic(path, "old")
    write_atomic(path, "neu: ü\n")
    assert path.read_bytes() == "neu: ü\n".encode()
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.txt"]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_write_atomic_keeps_the_old_text_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.txt"
    write_atomic(path, "old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.txt"]


def test_prepare_folder_makes_parents(tmp_path: Path) -> None:
    folder = prepare_folder(tmp_path / "a" / "b")
    assert folder == tmp_path / "a" / "b"
    assert folder.is_dir()
    assert prepare_folder(folder) == folder
    assert list(folder.iterdir()) == []


def test_prepare_folder_refuses_what_is_not_writable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/no_such_folder")):
        with pytest.raises(UserError, match=f"'{path}'.*may write"):
            prepare_folder(path)


def test_content_hash_is_what_it_says() -> None:
    params = {"b": {"w": np.array([1.0, 2.0], np.float32)}, "a": {"w": np.array(3, np.int32)}}
    by_hand = hashlib.sha256(
        b"a/w\0()\0int32\0" + b"\x03\0\0\0" + b"b/w\0(2,)\0float32\0" + b"\0\0\x80?\0\0\0@"
    ).hexdigest()[:16]
    assert content_hash(params) == by_hand
    assert content_hash({"a": params["a"], "b": {"w": jnp.array([1.0, 2.0])}}) == by_hand


def test_content_hash_sees_every_difference() -> None:
    array = np.arange(6, dtype=np.float32)
    variants = [
        {"a": {"w": array}},
        {"a": {"v": array}},
        {"a": {"w": array.reshape(2, 3)}},
        {"a": {"w": array.reshape(3, 2)}},
        {"a": {"w": array.view(np.int32)}},
        {"a": {"w": jnp.asarray(array, jnp.bfloat16)}},
        {"a": {"w": array, "b": array}},
        {"a": {"w": np.nextafter(array, np.float32(9))}},
        # Zero has two bit patterns.
        {"a": {"w": np.where(array == 0, np.float32(-0.0), array)}},
    ]
    assert len({content_hash(variant) for variant in variants}) == len(variants)
    # Memory order is not content.
    fortran = np.asfortranarray(array.reshape(2, 3))
    assert content_hash({"a": {"w": fortran}}) == content_hash(variants[2])


def test_files_and_paths_import_neither_jax_nor_tensorflow() -> None:
    program = (
        "import sys, flamingo_jax.core.files, flamingo_jax.core.paths, flamingo_jax.core.errors;"
        "sys.exit(any(name in sys.modules for name in ('jax', 'tensorflow')))"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
