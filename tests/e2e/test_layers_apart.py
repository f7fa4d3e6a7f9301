"""Training with layers apart, against the same run over stacks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.models import variants
from flamingo_jax.train import main
from tests.compilation import fast_compilation
from tests.e2e import tiny_run
from tests.e2e.test_stages import ONE_BLOCK, VISION

STEPS = 3
FLAMINGO = VISION | {
    "steps": STEPS,
    "checkpoint.every_steps": 2,
    # A gate that is shut lets no gradient through to the resampler; decay is chosen by path.
    "optimizer.learning_rate": 0.01,
    "optimizer.weight_decay": 0.1,
    "model.language_model.num_layers": 3,
    "model.cross_attention.every": 2,
    "model.resampler.num_layers": 2,
}


def flamingo(**more: Any) -> Any:
    """The tiny Flamingo's config; its stacks are two groups, of two blocks and of one."""
    paths = {path.replace("__", "."): value for path, value in more.items()}
    return tiny_run.make_config("flamingo", FLAMINGO | paths)


@pytest.fixture(scope="module")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workdir with two untrained stages and a Flamingo that was trained over stacks."""
    folder = tmp_path_factory.mktemp("stacked")
    with pytest.MonkeyPatch.context() as monkeypatch, fast_compilation():
        monkeypatch.setitem(variants.NFNET_VARIANTS, "one_block", ONE_BLOCK)
        tiny_run.write_untrained_stage(
            folder, tiny_run.make_config("contrastive", VISION | {"steps": 1})
        )
        language = {"steps": 1, "model.language_model.num_layers": 3}
        tiny_run.write_untrained_stage(
            folder, tiny_run.make_config("language_model", language), seed=1
        )
        assert main(flamingo(), folder) == 0
        yield folder


def assert_same(one: Path, other: Path) -> None:
    """That metrics, parameters and moments are the same, up to the order of sums."""
    config = flamingo()
    rows, expected_rows = (tiny_run.metric_rows(folder, "flamingo") for folder in (one, other))
    assert len(rows) == len(expected_rows) == STEPS
    for row, expected_row in zip(rows, expected_rows, strict=True):
        assert row.keys() == expected_row.keys()
        for name, value in expected_row.items():
            np.testing.assert_allclose(row[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    arrays, _ = tiny_run.saved_state(one, config, STEPS)
    expected, _ = tiny_run.saved_state(other, config, STEPS)
    for path, array in expected.items():
        np.testing.assert_allclose(arrays[path], array, rtol=1e-3, atol=1e-5, err_msg=path)


def test_a_run_apart_is_the_run_over_stacks(stacked: Path, tmp_path: Path) -> None:
    shutil.copytree(stacked, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "flamingo")
    assert main(flamingo(model__layers_apart=True), tmp_path) == 0
    assert_same(tmp_path, stacked)


def test_a_run_over_stacks_goes_on_apart(stacked: Path, tmp_path: Path) -> None:
    shutil.copytree(stacked, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "flamingo" / "checkpoints" / str(STEPS))
    assert main(flamingo(model__layers_apart=True), tmp_path) == 0
    assert_same(tmp_path, stacked)


def test_several_devices_are_refused(stacked: Path, tmp_path: Path) -> None:
    shutil.copytree(stacked, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "flamingo")
    with pytest.raises(UserError, match="model.layers_apart is true on 2 devices"):
        main(flamingo(model__layers_apart=True, mesh__data=2), tmp_path)


def test_other_stages_are_refused(tmp_path: Path) -> None:
    config = tiny_run.make_config("language_model", {"model.layers_apart": True})
    with pytest.raises(UserError, match="model.layers_apart is true in stage language_model"):
        main(config, tmp_path)
