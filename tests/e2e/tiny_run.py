"""The quickstart at a size that trains in seconds: every part and every dataset real, all small."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from configs import quickstart
from flamingo_jax.checkpoint.checkpointer import Checkpointer
from flamingo_jax.config import MeshConfig, RunConfig, resolve, to_json
from flamingo_jax.core.paths import Params, flatten, unflatten
from flamingo_jax.sharding.mesh import make_mesh
from flamingo_jax.training import compiled_step
from flamingo_jax.training.optimizer import make_optimizer
from flamingo_jax.training.stages import make_stage
from flamingo_jax.training.state import without_frozen
from flamingo_jax.training.trained import CHECKPOINT_FOLDER, CONFIG_NAME

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG_FILE = "configs/quickstart.py"

Overrides = Mapping[str, Any]
"""Path of a config field, as on the command line, -> value."""

_EVERY_STAGE: Overrides = {"log_every_steps": 1, "checkpoint.keep": 3, "init_from": ""}
_LANGUAGE_MODEL: Overrides = {
    "model.language_model.num_layers": 2,
    "model.language_model.width": 32,
}
_OF_STAGE: Mapping[str, Overrides] = {
    "contrastive": {
        "model.text_tower.num_layers": 1,
        "model.text_tower.width": 32,
        "model.embedding_width": 16,
        "data[0].batch_size": 4,
        "data[1].batch_size": 4,
    },
    "language_model": {
        **_LANGUAGE_MODEL,
        "data[0].batch_size": 8,
        "data[1].batch_size": 2,
        "data[0].max_text_length": 48,
    },
    "flamingo": {
        **_LANGUAGE_MODEL,
        "model.cross_attention.every": 1,
        "model.resampler.num_layers": 1,
        "model.resampler.width": 32,
        "model.resampler.num_latents": 2,
        "optimizer.warmup_steps": 2,
        "data[0].batch_size": 2,
        "data[0].max_images": 3,
        "data[0].max_text_length": 40,
        "data[1].batch_size": 2,
        "data[2].batch_size": 2,
        "data[3].batch_size": 2,
        "data[3].num_frames": 2,
    },
}


def overrides(stage: str, more: Overrides | None = None) -> dict[str, Any]:
    """What makes the quickstart's stage tiny; `more` comes on top."""
    return {**_EVERY_STAGE, **_OF_STAGE[stage], **(more or {})}


def make_config(stage: str, more: Overrides | None = None) -> RunConfig:
    """The tiny config of a stage."""
    fields = quickstart.get_config(stage).to_dict()
    for path, value in overrides(stage, more).items():
        *parents, last = re.findall(r"[^.\[\]]+", path)
        holder: Any = fields
        for part in parents:
            holder = holder[int(part) if part.isdecimal() else part]
        assert last in holder, path
        holder[last] = value
    return resolve(fields)


def command(stage: str, workdir: Path, more: Overrides | None = None) -> list[str]:
    """The command line that trains the tiny stage in `workdir`."""
    flags = [f"--config.{path}={value}" for path, value in overrides(stage, more).items()]
    arguments = [f"--config={CONFIG_FILE}:{stage}", f"--workdir={workdir}", *flags]
    return [sys.executable, "-m", "flamingo_jax.train", *arguments]


def environment(compiled: Path) -> dict[str, str]:
    """This process's environment for one that trains: one CPU device, fast compilation.

    Args:
      compiled: a folder through which several processes share what they compile.
    """
    flags = os.environ.get("XLA_FLAGS", "").split()
    kept = [flag for flag in flags if "xla_force_host_platform_device_count" not in flag]
    return os.environ | {
        "XLA_FLAGS": " ".join(kept),
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_COMPILATION_CACHE_DIR": str(compiled),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }


def random_parameters(abstract: Mapping[str, Mapping[str, Any]], seed: int = 0) -> Params:
    """Parameters of the given shapes, none of them zero: scales and gates around 1."""
    random = np.random.default_rng(seed)

    def draw(path: str, leaf: jax.ShapeDtypeStruct) -> jax.Array:
        if path.endswith(("scale", "gain", "_gate")):
            value = random.uniform(0.5, 1.5, leaf.shape)
        else:
            # Convolutions are [H, W, I, O]; stacks put their axes before a matrix [I, O].
            is_convolution = path.startswith("vision_encoder/") and len(leaf.shape) == 4
            fan_in = math.prod(leaf.shape[:-1] if is_convolution else leaf.shape[-2:-1])
            value = random.normal(0.0, fan_in**-0.5, leaf.shape)
        return jnp.asarray(value, leaf.dtype)

    return unflatten({path: draw(path, leaf) for path, leaf in flatten(abstract).items()})


def write_untrained_stage(workdir: Path, config: RunConfig, seed: int = 0) -> Params:
    """Writes the run folder of a stage whose parameters are random, as training would write it.

    Returns:
      The parameters.
    """
    folder = workdir / config.stage
    folder.mkdir(parents=True)
    (folder / CONFIG_NAME).write_text(to_json(config), encoding="utf-8")
    init = make_stage(config, workdir).init
    params = random_parameters(jax.eval_shape(init, jax.random.key(0)), seed)
    with Checkpointer(folder / CHECKPOINT_FOLDER, keep=1) as checkpoints:
        checkpoints.save(config.steps, {"trainable": params}, {"frozen": ""})
    return params


def saved_state(
    workdir: Path, config: RunConfig, step: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """A checkpoint's arrays (parameters, optimizer state, step, key) by path, and its metadata."""
    optimizer = make_optimizer(config.optimizer, config.steps)
    stage = make_stage(config, workdir)
    abstract = compiled_step.abstract_state(stage, optimizer, config.seed, make_mesh(MeshConfig()))
    with Checkpointer(workdir / config.stage / CHECKPOINT_FOLDER, keep=3) as checkpoints:
        state, metadata = checkpoints.restore(step, without_frozen(abstract))
    state = dataclasses.replace(state, rng=jax.random.key_data(state.rng))
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}, metadata


def metric_rows(workdir: Path, stage: str) -> list[dict[str, float]]:
    """Rows of metrics.jsonl without what depends on the clock."""
    lines = (workdir / stage / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [
        {
            key: value
            for key, value in row.items()
            if key != "examples_per_second" and not key.startswith("data/")
        }
        for row in rows
    ]
