"""Checkpoints: exact round trips, retention, and every kind of damage."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from flamingo_jax.checkpoint.checkpointer import Checkpointer
from flamingo_jax.core.errors import UserError


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    step: Any
    trainable: Any
    frozen: Any
    optimizer_state: Any
    rng: Any


OPTIMIZER = optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.masked(
        optax.add_decayed_weights(0.1), lambda params: jax.tree.map(lambda _: True, params)
    ),
    optax.adamw(optax.linear_schedule(0.0, 1e-3, 10)),
)


def make_state(seed: int, rng: Any = None) -> State:
    key = jax.random.key(seed)
    trainable = {
        "resampler/layers/attention/query": {"w": jax.random.normal(key, (2, 8, 16))},
        "cross_attention": {"attention_gate": jnp.float32(-0.0)},
        "extra_embeddings": {"w": jnp.arange(8, dtype=jnp.bfloat16)},
    }
    optimizer_state = OPTIMIZER.init(trainable)
    gradients = jax.tree.map(lambda leaf: leaf * 0.1 + 1, trainable)
    _, optimizer_state = OPTIMIZER.update(gradients, optimizer_state, trainable)
    return State(
        step=jnp.int32(seed),
        trainable=trainable,
        frozen={},
        optimizer_state=optimizer_state,
        rng=jax.random.PRNGKey(seed) if rng is None else rng,
    )


def assert_equal_bits(found: Any, expected: Any) -> None:
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def save_steps(folder: Path, *steps: int, keep: int = 10) -> None:
    with Checkpointer(folder, keep=keep) as checkpointer:
        for step in steps:
            checkpointer.save(step, make_state(step), {"data": {"pages": step * 8}})


def largest_data_file(folder: Path, step: int) -> Path:
    return max((folder / str(step)).rglob("d/*"), key=lambda path: path.stat().st_size)


def flip_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_nothing_is_touched_before_the_first_save(tmp_path: Path) -> None:
    with Checkpointer(tmp_path / "checkpoints", keep=1) as checkpointer:
        assert checkpointer.latest() is None
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("typed", [False, True])
def test_round_trip_is_exact_bit_for_bit(tmp_path: Path, typed: bool) -> None:
    state = make_state(3, jax.random.key(7) if typed else jax.random.PRNGKey(7))
    metadata = {"data": {"pages": 24}, "config": {"rate": 1e-4}, "frozen": ["0123456789abcdef"]}
    with Checkpointer(tmp_path, keep=1) as checkpointer:
        checkpointer.save(3, state, metadata)
    with Checkpointer(tmp_path, keep=1) as checkpointer:
        assert checkpointer.latest() == 3
        restored, found = checkpointer.restore(3, jax.eval_shape(lambda: state))
        assert found == metadata
        assert checkpointer.metadata(3) == metadata
    assert_equal_bits(restored, state)
    assert isinstance(restored.optimizer_state[2][0], optax.ScaleByAdamState)
    if typed:
        assert jax.random.normal(restored.rng) == jax.random.normal(state.rng)


def test_arrays_may_change_as_soon_as_save_returns(tmp_path: Path) -> None:
    array = np.arange(1 << 18, dtype=np.float32)
    donated = jnp.arange(1 << 18, dtype=jnp.float32)
    double = jax.jit(lambda x: x * 2, donate_argnums=0)
    with Checkpointer(tmp_path, keep=1) as checkpointer:
        checkpointer.save(1, {"a": array, "b": donated}, {})
        array[:] = -1
        double(donated).block_until_ready()
        abstract = {name: jax.ShapeDtypeStruct((1 << 18,), jnp.float32) for name in "ab"}
        restored, _ = checkpointer.restore(1, abstract)
    np.testing.assert_array_equal(restored["a"], np.arange(1 << 18, dtype=np.float32))
    np.testing.assert_array_equal(restored["b"], np.arange(1 << 18, dtype=np.float32))


def test_restores_into_shardings(tmp_path: Path) -> None:
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:8]).reshape(4, 2), ("data", "model"))
    other = jax.sharding.Mesh(np.array(jax.devices()[:8]).reshape(2, 4), ("data", "model"))
    spec = jax.sharding.PartitionSpec("data", "model")
    array = jnp.arange(64.0).reshape(8, 8)
    sharded = jax.device_put(array, jax.sharding.NamedSharding(mesh, spec))
    with Checkpointer(tmp_path, keep=1) as checkpointer:
        checkpointer.save(1, {"w": sharded}, {})
        for target in (mesh, other):
            sharding = jax.sharding.NamedSharding(target, spec)
            abstract = {"w": jax.ShapeDtypeStruct((8, 8), jnp.float32, sharding=sharding)}
            restored, _ = checkpointer.restore(1, abstract)
            assert restored["w"].sharding == sharding
            np.testing.assert_array_equal(restored["w"], array)


def test_a_part_of_a_state_can_be_restored_alone(tmp_path: Path) -> None:
    state = make_state(1)
    with Checkpointer(tmp_path, keep=1) as checkpointer:
        checkpointer.save(1, state, {})
        name = "resampler/layers/attention/query"
        abstract = {"trainable": {name: {"w": jax.ShapeDtypeStruct((2, 8, 16), jnp.float32)}}}
        restored, _ = checkpointer.restore(1, abstract, partial=True)
        assert_equal_bits(restored, {"trainable": {name: state.trainable[name]}})
        with pytest.raises(UserError, match="holds the array 'optimizer_state/|holds the array"):
            checkpointer.restore(1, abstract)


def test_arrays_without_elements_and_empty_states(tmp_path: Path) -> None:
    state = {"none": jnp.zeros((0, 3), jnp.bfloat16), "empty": {}, "nothing": None}
    with Checkpointer(tmp_path, keep=2) as checkpointer:
        checkpointer.save(1, {**state, "w": jnp.ones(2)}, {})
        restored, _ = checkpointer.restore(1, {**state, "w": jnp.zeros(2)})
    assert_equal_bits(restored, {**state, "w": jnp.ones(2)})


def test_shape_dtype_and_structure_mismatches_name_the_path(tmp_path: Path) -> None:
    save_steps(tmp_path, 1)
    abstract = jax.eval_shape(lambda: make_state(1))
    trainable = abstract.trainable

    def replaced(shape: tuple[int, ...], dtype: Any) -> State:
        changed = {**trainable, "extra_embeddings": {"w": jax.ShapeDtypeStruct(shape, dtype)}}
        return dataclasses.replace(abstract, trainable=changed)

    with Checkpointer(tmp_path, keep=1) as checkpointer:
        path = "'trainable/extra_embeddings/w'"
        with pytest.raises(UserError, match=rf"{path} has shape \(8,\), this run needs \(9,\)"):
            checkpointer.restore(1, replaced((9,), jnp.bfloat16))
        # Orbax alone would cast this one without a word.
        with pytest.raises(UserError, match=f"{path} has dtype bfloat16, this run needs float32"):
            checkpointer.restore(1, replaced((8,), jnp.float32))
        more = {**trainable, "resampler": {"latents": jax.ShapeDtypeStruct((1,), jnp.float32)}}
        with pytest.raises(UserError, match="no array 'trainable/resampler/latents'"):
            checkpointer.restore(1, dataclasses.replace(abstract, trainable=more))
        fewer = {name: trainable[name] for name in list(trainable)[:2]}
        with pytest.raises(UserError, match="holds the array 'trainable/"):
            checkpointer.restore(1, dataclasses.replace(abstract, trainable=fewer))
        typed = dataclasses.replace(abstract, rng=jax.eval_shape(lambda: jax.random.key(0)))
        with pytest.raises(UserError, match="'rng' has"):
            checkpointer.restore(1, typed)


def test_what_would_not_come_back_exactly_is_refused(tmp_path: Path) -> None:
    with Checkpointer(tmp_path, keep=1) as checkpointer:
        with pytest.raises(TypeError, match="'step' is int"):
            checkpointer.save(1, {"step": 1}, {})
        with pytest.raises(TypeError, match="'w' is float64"):
            checkpointer.save(1, {"w": np.zeros(2)}, {})
        with pytest.raises(TypeError):
            checkpointer.save(1, {"w": jnp.zeros(2)}, {"config": object()})
    with pytest.raises(UserError, match="at least 1"):
        Checkpointer(tmp_path, keep=0)


def test_the_newest_steps_are_kept(tmp_path: Path) -> None:
    save_steps(tmp_path, 5, 10, 15, 20, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".staging", "15", "20"]
    assert list((tmp_path / ".staging").iterdir()) == []
    with Checkpointer(tmp_path, keep=2) as checkpointer:
        assert checkpointer.latest() == 20
        with pytest.raises(UserError, match="no checkpoint of step 10; it has 15, 20"):
            checkpointer.restore(10, {})


def test_a_flipped_bit_is_detected_and_the_older_step_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_steps(tmp_path, 1, 2, 3)
    flip_bit(largest_data_file(tmp_path, 3))
    with Checkpointer(tmp_path, keep=10) as checkpointer:
        assert checkpointer.latest() == 2
        assert f"{tmp_path}/3: file state/" in caplog.text
        restored, metadata = checkpointer.restore(2, jax.eval_shape(lambda: make_state(2)))
        with pytest.raises(UserError, match="3 is damaged: file state/.* has changed"):
            checkpointer.restore(3, jax.eval_shape(lambda: make_state(3)))
    assert_equal_bits(restored, make_state(2))
    assert metadata == {"data": {"pages": 16}}


def test_every_kind_of_damage_is_skipped(tmp_path: Path) -> None:
    save_steps(tmp_path, 1, 2, 3, 4, 5, 6)
    largest_data_file(tmp_path, 2).unlink()
    with largest_data_file(tmp_path, 3).open("r+b") as file:
        file.truncate(10)
    (tmp_path / "4" / "integrity.json").unlink()
    (tmp_path / "5" / "integrity.json").write_text("{")
    flip_bit(tmp_path / "6" / "checkpoint.json")
    (tmp_path / "7").mkdir()
    (tmp_path / "08").mkdir()
    (tmp_path / "9.damaged").mkdir()
    (tmp_path / "10").write_text("a file, not a folder")
    with Checkpointer(tmp_path, keep=10) as checkpointer:
        assert checkpointer.latest() == 1
    # Reading changes nothing on disk.
    assert (tmp_path / "7").is_dir()


def test_only_broken_steps_is_an_error_not_a_new_start(tmp_path: Path) -> None:
    save_steps(tmp_path, 1)
    flip_bit(largest_data_file(tmp_path, 1))
    (tmp_path / "2").mkdir()
    with (
        Checkpointer(tmp_path, keep=10) as checkpointer,
        pytest.raises(UserError, match="step 2: it is empty; step 1: file"),
    ):
        checkpointer.latest()


def test_going_on_sets_damaged_steps_aside(tmp_path: Path) -> None:
    save_steps(tmp_path, 1, 2, 3)
    flip_bit(largest_data_file(tmp_path, 2))
    flip_bit(largest_data_file(tmp_path, 3))
    save_steps(tmp_path, 2)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [".staging", "1", "2", "2.damaged", "3.damaged"]
    with Checkpointer(tmp_path, keep=10) as checkpointer:
        assert checkpointer.latest() == 2


def test_saving_the_same_step_twice_and_an_older_step(tmp_path: Path) -> None:
    save_steps(tmp_path, 4)
    with Checkpointer(tmp_path, keep=10) as checkpointer:
        checkpointer.save(4, make_state(99), {"other": True})
        assert checkpointer.metadata(4) == {"data": {"pages": 32}}
        with pytest.raises(UserError, match="step 4, newer than step 3"):
            checkpointer.save(3, make_state(3), {})


def test_a_failing_save_surfaces_and_leaves_the_older_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_steps(tmp_path, 1)

    def full_disk(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    checkpointer = Checkpointer(tmp_path, keep=1)
    with monkeypatch.context() as patch:
        patch.setattr("flamingo_jax.checkpoint.checkpointer.write_manifest", full_disk)
        checkpointer.save(2, make_state(2), {})
        with pytest.raises(UserError, match="cannot write a checkpoint.*No space left"):
            checkpointer.wait()
    assert checkpointer.latest() == 1
    checkpointer.close()


_KILLED = """
import sys, jax, jax.numpy as jnp
from flamingo_jax.checkpoint.checkpointer import Checkpointer
checkpointer = Checkpointer(sys.argv[1], keep=2)
for step in range(1, 1000):
    checkpointer.save(step, {"w": jnp.full((1 << 20,), step, jnp.float32)}, {"step": step})
    print(step, flush=True)
"""


def test_kill_during_a_save_leaves_an_older_step(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout is not None
    for line in process.stdout:
        # `save` has returned and its background part is at work.
        if int(line) == 5:
            time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    abstract = {"w": jax.ShapeDtypeStruct((1 << 20,), jnp.float32)}
    with Checkpointer(tmp_path, keep=2) as checkpointer:
        step = checkpointer.latest()
        assert step is not None
        assert step >= 4
        restored, metadata = checkpointer.restore(step, abstract)
        assert metadata == {"step": step}
        assert np.all(np.asarray(restored["w"]) == step)
        checkpointer.save(step + 1, {"w": restored["w"] + 1}, {"step": step + 1})
        checkpointer.wait()
        assert checkpointer.latest() == step + 1
    assert list((tmp_path / ".staging").iterdir()) == []
