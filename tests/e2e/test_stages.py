"""The three stages in a row, as a user runs them, at a tiny size: the pulse of the whole road.

One workdir: contrastive, then the language model, then Flamingo on what those two left behind, all
through the entry point's `main`, with all their datasets.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

from flamingo_jax import train
from flamingo_jax.core.files import content_hash
from flamingo_jax.core.paths import Params, flatten, partition
from flamingo_jax.models import variants
from flamingo_jax.training import loop
from flamingo_jax.training.stages import load_stage, pretrained_part
from flamingo_jax.training.state import TrainState, without_frozen
from tests.compilation import fast_compilation
from tests.e2e import tiny_run

VOCABULARY_SIZE = 1024
ONE_BLOCK = variants.NFNetVariant(
    stem_channels=(16, 32),
    stem_strides=(2, 2),
    widths=(32,),
    depths=(1,),
    stage_strides=(2,),
    group_widths=(16,),
    drop_rate=0.0,
    train_image_size=32,
    test_image_size=32,
    final_conv_multiplier=1,
)
"""An NFNet of one block: compiling the gradients of more takes most of a minute."""
VISION = {"model.vision_encoder.variant": "one_block"}
CONFIGS = {
    "contrastive": tiny_run.make_config(
        "contrastive", VISION | {"steps": 2, "checkpoint.every_steps": 2}
    ),
    "language_model": tiny_run.make_config(
        "language_model",
        {
            "steps": 20,
            "checkpoint.every_steps": 20,
            "optimizer.learning_rate": 1e-2,
            "optimizer.warmup_steps": 1,
        },
    ),
    "flamingo": tiny_run.make_config(
        "flamingo", VISION | {"steps": 6, "checkpoint.every_steps": 3}
    ),
}


class _Run:
    """A finished run, and the frozen trees that Flamingo's loop held whenever it saved."""

    def __init__(self, workdir: Path) -> None:
        self.workdir = workdir
        self.frozen_hashes: list[str] = []

    def train(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(loop, "without_frozen", self._watch)
        for config in CONFIGS.values():
            assert train.main(config, self.workdir) == 0

    def _watch(self, state: TrainState) -> TrainState:
        arrays = flatten(state.frozen)
        if arrays and all(isinstance(leaf, jax.Array) for leaf in arrays.values()):
            self.frozen_hashes.append(content_hash(state.frozen))
        return without_frozen(state)

    @functools.cache  # noqa: B019 - one object, for as long as this file's tests run
    def params(self, stage: str) -> Params:
        return load_stage(self.workdir, stage).params

    @functools.cache  # noqa: B019
    def flamingo_state(self, step: int) -> dict[str, np.ndarray]:
        return tiny_run.saved_state(self.workdir, CONFIGS["flamingo"], step)[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Run]:
    finished = _Run(tmp_path_factory.mktemp("stages"))
    with pytest.MonkeyPatch.context() as monkeypatch, fast_compilation():
        monkeypatch.setitem(variants.NFNET_VARIANTS, "one_block", ONE_BLOCK)
        finished.train(monkeypatch)
        yield finished


def test_frozen_trees_leave_training_as_they_entered_it(run: _Run) -> None:
    """The arrays in the loop's hands after 3 and after 6 updates, against those on disk before."""
    before, _ = partition(run.params("flamingo"), lambda path: pretrained_part(path) is not None)
    assert run.frozen_hashes == [content_hash(before)] * 2
    assert [folder.name for folder in (run.workdir / "frozen").iterdir()] == [content_hash(before)]


def test_frozen_trees_are_the_weights_of_the_two_stages(run: _Run) -> None:
    frozen, _ = partition(run.params("flamingo"), lambda path: pretrained_part(path) is not None)
    language_model = flatten(run.params("language_model"))
    stages = flatten(run.params("contrastive")) | language_model
    seen = set()
    for path, leaf in flatten(frozen).items():
        # groups/language_model/block/... [G, L, ...] holds the blocks of
        # language_model/layers/block/... [G * L, ...] in order.
        source = path.replace("groups/language_model/", "language_model/layers/")
        np.testing.assert_array_equal(np.reshape(leaf, stages[source].shape), stages[source])
        seen.add(source)
    assert set(language_model) <= seen
    assert any(path.startswith("vision_encoder/") for path in seen)


def test_gates_open_and_the_added_parameters_move(run: _Run) -> None:
    early, late = run.flamingo_state(3), run.flamingo_state(6)
    trainable = [path for path in late if path.startswith(".trainable")]
    for path in trainable:
        assert not np.array_equal(late[path], early[path]), path
    gates = [path for path in trainable if path.endswith("_gate']")]
    assert len(gates) == 2
    for path in gates:
        assert np.all(late[path] != 0), path


def test_metrics_tell_every_loss_and_every_gate(run: _Run) -> None:
    for stage, config in CONFIGS.items():
        rows = tiny_run.metric_rows(run.workdir, stage)
        assert [row["step"] for row in rows] == list(range(1, config.steps + 1))
        for row in rows:
            losses = {dataset.name: row[f"loss/{dataset.name}"] for dataset in config.data}
            assert all(math.isfinite(loss) and loss > 0 for loss in losses.values())
            total = sum(dataset.loss_weight * losses[dataset.name] for dataset in config.data)
            assert row["loss/total"] == pytest.approx(total, rel=1e-5)
    last = tiny_run.metric_rows(run.workdir, "flamingo")[-1]
    for name in ("attention_gate", "feed_forward_gate"):
        gate = run.flamingo_state(6)[f".trainable['groups/cross_attention']['{name}']"]
        logged = [last[f"gate/groups/cross_attention/{name}/{i}"] for i in range(len(gate))]
        np.testing.assert_allclose(logged, np.tanh(gate), rtol=1e-6)


def test_pulse_the_language_model_learns(run: _Run) -> None:
    """From about chance, log V, well below it in 20 steps, each on fresh text."""
    rows = tiny_run.metric_rows(run.workdir, "language_model")
    losses = [row["loss/world_text"] for row in rows]
    assert losses[0] > 0.8 * math.log(VOCABULARY_SIZE)
    assert np.mean(losses[-3:]) < losses[0] - 1.0


def test_finished_stages_are_not_trained_again(
    run: _Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for stage, config in CONFIGS.items():
        assert train.main(config, run.workdir) == 0
        assert f"{stage}: finished at step {config.steps}" in capsys.readouterr().out
