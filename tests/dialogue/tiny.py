"""Tiny random Flamingos to talk to."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import jax
from PIL import Image

from flamingo_jax.checkpoint.checkpointer import Checkpointer
from flamingo_jax.checkpoint.frozen import save_frozen
from flamingo_jax.config import MeshConfig, RunConfig, to_json
from flamingo_jax.core.paths import partition
from flamingo_jax.data import vocabulary
from flamingo_jax.dialogue.conversation import Picture
from flamingo_jax.dialogue.prompt import Style, dialogue_style
from flamingo_jax.dialogue.responder import Limits, Responder
from flamingo_jax.dialogue.viewer import Viewer
from flamingo_jax.evaluation.answering import FewShotModel
from flamingo_jax.sharding.mesh import make_mesh
from flamingo_jax.training.stages import make_stage
from flamingo_jax.training.trained import CHECKPOINT_FOLDER, CONFIG_NAME, FROZEN_FOLDER
from tests.e2e import tiny_run
from tests.evaluation import tiny

VOCABULARY = vocabulary.load("world")
NUM_FRAMES = 2


@functools.cache
def model(*, ends_at_once: bool = False) -> FewShotModel:
    """Its own parameters let it say `<EOC>` first; without that it never says it."""
    functions, params = tiny.model(VOCABULARY.size)
    if not ends_at_once:
        end = {"end_of_chunk": 0 * params["extra_embeddings"]["end_of_chunk"]}
        params = {**params, "extra_embeddings": end}
    return FewShotModel(
        functions=functions,
        params=params,
        mesh=make_mesh(MeshConfig()),
        vocabulary=VOCABULARY,
        image_size=32,
        checkpoint="",
    )


@functools.cache
def viewer() -> Viewer:
    return Viewer(model(), NUM_FRAMES, frames_per_second=1.0)


def responder(
    style: Style | None = None, max_length: int = 512, max_answer_length: int = 6
) -> Responder:
    limits = Limits(max_length=max_length, max_answer_length=max_answer_length)
    return Responder(model(), viewer(), style or dialogue_style(), limits)


def picture(seed: int = 0) -> Picture:
    """A picture that nobody has seen."""
    return Picture(name=f"picture {seed}", latents=tiny.latents(1, seed)[0])


def png(colour: tuple[int, int, int] = (200, 40, 40), size: int = 40) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(file, "PNG")
    return file.getvalue()


def run_config(max_length: int = 512) -> RunConfig:
    return tiny_run.make_config("flamingo", {"data[0].max_text_length": max_length})


def write_run(workdir: Path, max_length: int = 512) -> Path:
    """A run folder of a Flamingo with random parameters, frozen ones and all."""
    config = run_config(max_length)
    folder = workdir / config.stage
    folder.mkdir(parents=True)
    (folder / CONFIG_NAME).write_text(to_json(config), encoding="utf-8")
    stage = make_stage(config, workdir)
    params = tiny_run.random_parameters(jax.eval_shape(stage.init, jax.random.key(0)))
    trainable, frozen = partition(params, stage.is_trainable)
    name = save_frozen(workdir / FROZEN_FOLDER, frozen)
    with Checkpointer(folder / CHECKPOINT_FOLDER, keep=1) as checkpoints:
        checkpoints.save(config.steps, {"trainable": trainable}, {"frozen": name})
    return workdir
