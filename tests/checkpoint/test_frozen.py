"""Frozen parameters: one copy per content, proven on loading."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flamingo_jax.checkpoint.frozen import load_frozen, save_frozen
from flamingo_jax.core.errors import UserError
from flamingo_jax.core.files import content_hash


def _params() -> dict[str, dict[str, jax.Array]]:
    return {
        "language_model": {"embedding": jax.random.normal(jax.random.key(0), (32, 8))},
        "vision_encoder/stem": {"w": jnp.arange(24, dtype=jnp.bfloat16).reshape(3, 8)},
    }


def _abstract() -> dict[str, dict[str, jax.ShapeDtypeStruct]]:
    return jax.eval_shape(_params)


def _files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_round_trip_is_exact(tmp_path: Path) -> None:
    params = _params()
    name = save_frozen(tmp_path / "frozen", params)
    assert name == content_hash(params)
    assert [path.name for path in (tmp_path / "frozen").iterdir()] == [name]
    loaded = load_frozen(tmp_path / "frozen", name, _abstract())
    assert content_hash(loaded) == name
    assert jax.tree.all(jax.tree.map(np.array_equal, loaded, params))


def test_equal_content_is_saved_once(tmp_path: Path) -> None:
    name = save_frozen(tmp_path, _params())
    before = _files(tmp_path)
    assert save_frozen(tmp_path, _params()) == name
    assert _files(tmp_path) == before
    other = _params()
    other["language_model"]["embedding"] += 1.0
    assert save_frozen(tmp_path, other) != name
    assert len(list(tmp_path.iterdir())) == 2


def test_bit_rot_is_found_and_saving_again_heals_it(tmp_path: Path) -> None:
    name = save_frozen(tmp_path, _params())
    path = max((tmp_path / name / "state").rglob("d/*"), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="damaged: file state/.* has changed"):
        load_frozen(tmp_path, name, _abstract())
    assert save_frozen(tmp_path, _params()) == name
    load_frozen(tmp_path, name, _abstract())


def test_the_content_hash_is_proven_on_loading(tmp_path: Path) -> None:
    name = save_frozen(tmp_path, _params())
    (tmp_path / name).rename(tmp_path / "0123456789abcdef")
    with pytest.raises(UserError, match=f"content hash {name}, not 0123456789abcdef"):
        load_frozen(tmp_path, "0123456789abcdef", _abstract())


def test_missing_and_unfitting_trees_are_named(tmp_path: Path) -> None:
    name = save_frozen(tmp_path, _params())
    with pytest.raises(UserError, match="missing"):
        load_frozen(tmp_path, "ffffffffffffffff", _abstract())
    abstract = _abstract()
    abstract["vision_encoder/stem"]["w"] = jax.ShapeDtypeStruct((3, 8), jnp.float32)
    with pytest.raises(UserError, match="'vision_encoder/stem/w' has dtype bfloat16.*float32"):
        load_frozen(tmp_path, name, abstract)
