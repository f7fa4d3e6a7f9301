"""The integrity manifest, against every single byte of a folder."""

from __future__ import annotations

from pathlib import Path

from flamingo_jax.checkpoint.integrity import find_damage, write_manifest


def test_a_flip_of_any_bit_of_any_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "a").write_bytes(b"0123")
    (tmp_path / "below" / "b").write_bytes(b"45")
    write_manifest(tmp_path)
    assert find_damage(tmp_path) is None
    for path in (tmp_path / "a", tmp_path / "below" / "b"):
        content = path.read_bytes()
        for index in range(len(content)):
            for bit in range(8):
                flipped = bytearray(content)
                flipped[index] ^= 1 << bit
                path.write_bytes(flipped)
                assert find_damage(tmp_path) == (
                    f"file {path.relative_to(tmp_path)} has changed since it was saved"
                )
        path.write_bytes(content)
    assert find_damage(tmp_path) is None


def test_missing_empty_and_unsealed(tmp_path: Path) -> None:
    assert find_damage(tmp_path) == "it is empty"
    (tmp_path / "a").write_bytes(b"1")
    assert find_damage(tmp_path) == "it has no integrity.json"
    write_manifest(tmp_path)
    (tmp_path / "later").write_text("a file that came after the seal is no damage")
    assert find_damage(tmp_path) is None
    (tmp_path / "a").write_bytes(b"12")
    assert find_damage(tmp_path) == "file a has 2 bytes, not 1"
    (tmp_path / "a").unlink()
    assert find_damage(tmp_path) == "file a cannot be read (No such file or directory)"
    (tmp_path / "integrity.json").write_text("[]")
    assert find_damage(tmp_path) == "its integrity.json cannot be read"
