"""A stage that trains in milliseconds: linear regression with a frozen matrix, for the loop.

Run as a module it trains in a process of its own, which can be killed:
`python -m tests.training.toy WORKDIR KILL_AFTER_STEP`.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from configs import quickstart
from flamingo_jax.config import RunConfig, resolve
from flamingo_jax.training import accumulation
from flamingo_jax.training.loop import OpenRows, train
from flamingo_jax.training.stages import Stage

BATCH = 8


def make_config(**changes: Any) -> RunConfig:
    """The quickstart's config with two small datasets; `changes` by path, __ for dots."""
    fields = quickstart.get_config("flamingo").to_dict()
    pages, pairs = fields["data"][:2]
    pages |= {"name": "pages", "loss_weight": 1.0}
    pairs |= {"name": "noisy_pairs", "loss_weight": 0.2}
    for dataset in (pages, pairs):
        dataset |= {"batch_size": BATCH, "num_frames": 1, "microbatches": 1}
    fields["data"] = [pages, pairs]
    fields |= {"steps": 6, "log_every_steps": 1, "checkpoint": {"every_steps": 3, "keep": 3}}
    fields["optimizer"] |= {
        "learning_rate": 0.05,
        "schedule": "constant",
        "warmup_steps": 2,
        "weight_decay": 0.1,
        "no_decay": (r"resampler/.*",),
    }
    for path, value in changes.items():
        *parents, name = path.split("__")
        holder = fields
        for parent in parents:
            holder = holder[parent]
        holder[name] = value
    return resolve(fields)


def init(rng: jax.Array) -> dict[str, dict[str, jax.Array]]:
    keys = jax.random.split(rng, 3)
    return {
        "vision_encoder/a": {"w": jax.random.normal(keys[0], (5, 4))},
        "resampler/b": {"w": jax.random.normal(keys[1], (4, 3))},
        "extra_embeddings/c": {"w": jax.random.normal(keys[2], (3,))},
    }


def frozen_values(abstract: Mapping[str, Any]) -> dict[str, dict[str, jax.Array]]:
    leaf = abstract["vision_encoder/a"]["w"]
    stored = np.linspace(-1, 1, 20, dtype=np.float32).reshape(5, 4)
    return {"vision_encoder/a": {"w": jax.device_put(stored, leaf.sharding, may_alias=False)}}


def make_stage(datasets: tuple[Any, ...]) -> Stage:
    def make_step(optimizer: optax.GradientTransformation, shard: Any) -> Any:
        def step(state: Any, batches: Any) -> Any:
            def loss_sums(trainable: Any, batch: Any) -> Any:
                hidden = jnp.tanh(batch["x"] @ state.frozen["vision_encoder/a"]["w"])
                prediction = hidden @ trainable["resampler/b"]["w"]
                errors = (prediction + trainable["extra_embeddings/c"]["w"] - batch["y"]) ** 2
                return errors.sum(), jnp.float32(errors.shape[0])

            gradient = functools.partial(accumulation.mean_loss_gradient, loss_sums)
            return accumulation.update(state, batches, datasets, gradient, optimizer)

        return step

    return Stage(
        name="flamingo",
        init=init,
        is_trainable=lambda path: not path.startswith("vision_encoder/"),
        load_parameters=frozen_values,
        make_step=make_step,
    )


ALL_ROWS = range(BATCH)


def batch_at(name: str, position: int) -> dict[str, np.ndarray]:
    """The batch of a position: a function of name and position alone."""
    random = np.random.default_rng((len(name), position))
    x = random.normal(size=(BATCH, 5)).astype(np.float32)
    return {"x": x, "y": np.sin(x[:, :3])}


def open_dataset(
    name: str, start: int, *, rows: range = ALL_ROWS
) -> Iterator[tuple[dict[str, np.ndarray], int]]:
    assert rows == ALL_ROWS
    position = start
    while True:
        yield batch_at(name, position), position + 1
        position += 1


def make_datasets(config: RunConfig) -> dict[str, OpenRows]:
    return {d.name: functools.partial(open_dataset, d.name) for d in config.data}


def run(workdir: Path, config: RunConfig, **datasets: OpenRows) -> int:
    return train(config, workdir, make_stage(config.data), make_datasets(config) | datasets)


def killed_run(workdir: Path, step: int) -> None:
    """Trains until the checkpoint of `step` is on disk, and dies there of SIGKILL."""
    config = make_config()
    saved = workdir / "flamingo" / "checkpoints" / str(step)

    def deadly(start: int, *, rows: range) -> Iterator[tuple[dict[str, np.ndarray], int]]:
        for item in open_dataset("pages", start, rows=rows):
            if item[1] > step + 1:
                while not saved.exists():
                    time.sleep(0.01)
                os.kill(os.getpid(), signal.SIGKILL)
            yield item

    run(workdir, config, pages=deadly)


if __name__ == "__main__":
    killed_run(Path(sys.argv[1]), int(sys.argv[2]))
