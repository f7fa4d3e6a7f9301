"""The three stages: which model, which step, what is trained, and where stored values come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp

from flamingo_jax.checkpoint.compatibility import check_config
from flamingo_jax.config import RunConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.core.paths import Params, flatten, merge, unflatten
from flamingo_jax.models import build
from flamingo_jax.training.loop import Stage
from flamingo_jax.training.steps import contrastive, flamingo, language_model
from flamingo_jax.training.trained import (
    CHECKPOINT_FOLDER,
    Trained,
    cast_to,
    load_saved_parameters,
    load_trained,
    saved_config,
)

CONTRASTIVE = "contrastive"
LANGUAGE_MODEL = "language_model"
FLAMINGO = "flamingo"

_FROZEN_MODULES = frozenset({"vision_encoder", "language_model"})
_BLOCK = "/block/"
_FIRST_STACK = "groups/"


def make_stage(config: RunConfig, workdir: str | Path) -> Stage:
    """The stage of a config.

    Args:
      config: of the run.
      workdir: the run's folder, in which Flamingo looks for the stages before it.

    Returns:
      What `loop.train` needs of it.
    """
    if config.stage == CONTRASTIVE:
        return _contrastive(config)
    if config.stage == LANGUAGE_MODEL:
        return _language_model(config)
    return _flamingo(config, Path(workdir).expanduser().absolute())


def load_stage(workdir: str | Path, stage: str, mesh: jax.sharding.Mesh | None = None) -> Trained:
    """A trained stage of a workdir: config, all parameters, step.

    Raises:
      UserError: the stage has no whole checkpoint there; says which command makes one.
    """
    workdir = Path(workdir).expanduser().absolute()
    config = saved_config(workdir / stage, stage)
    described = make_stage(config, workdir)
    return load_trained(workdir / stage, stage, described.init, described.is_trainable, mesh=mesh)


def _contrastive(config: RunConfig) -> Stage:
    functions = build.build_two_tower(config.model)
    return Stage(
        name=CONTRASTIVE,
        init=functions.init,
        is_trainable=_everything,
        load_parameters=_initial_loader(config),
        make_step=lambda optimizer: contrastive.make_step(
            functions, optimizer, config.data, config.label_smoothing
        ),
    )


def _language_model(config: RunConfig) -> Stage:
    functions = build.build_language_model(config.model)
    return Stage(
        name=LANGUAGE_MODEL,
        init=functions.init,
        is_trainable=_everything,
        load_parameters=_initial_loader(config),
        make_step=lambda optimizer: language_model.make_step(functions, optimizer, config.data),
    )


def _flamingo(config: RunConfig, workdir: Path) -> Stage:
    functions = build.build_flamingo(config.model)
    frozen_dtype = jnp.dtype(config.model.precision.frozen)

    def init(rng: jax.Array) -> Params:
        leaves = flatten(functions.init(rng))
        return unflatten(
            {
                path: leaf.astype(frozen_dtype) if is_frozen_in_flamingo(path) else leaf
                for path, leaf in leaves.items()
            }
        )

    def load_parameters(abstract: Params) -> Params:
        frozen = {p: leaf for p, leaf in flatten(abstract).items() if is_frozen_in_flamingo(p)}
        return _load_frozen_parts(config, workdir, frozen)

    return Stage(
        name=FLAMINGO,
        init=init,
        is_trainable=lambda path: not is_frozen_in_flamingo(path),
        load_parameters=load_parameters,
        make_step=lambda optimizer: flamingo.make_step(functions, optimizer, config.data),
    )


def is_frozen_in_flamingo(path: str) -> bool:
    """Whether the Flamingo stage leaves a parameter as it is: vision encoder, language model.

    The language model's blocks stand inside the decoder's stacks, so its name may be any module of
    the path.
    """
    return not _FROZEN_MODULES.isdisjoint(path.split("/"))


def _everything(path: str) -> bool:
    """Every parameter of the stage is trained."""
    del path
    return True


def _initial_loader(config: RunConfig) -> Callable[[Params], Params]:
    """Loads the parameters that `config.init_from` names; none if it is empty."""

    def load(abstract: Params) -> Params:
        if not config.init_from:
            return {}
        folder = Path(config.init_from).expanduser().absolute()
        if not (folder / CHECKPOINT_FOLDER).is_dir():
            return load_saved_parameters(config.init_from, abstract)
        saved = saved_config(folder, config.stage)
        _check_part(saved, config, ("vision_encoder", "text_tower", "language_model"), folder)
        mesh = next(iter(flatten(abstract).values())).sharding.mesh
        init = make_stage(saved, folder.parent).init
        return load_trained(folder, config.stage, init, _everything, mesh=mesh).params

    return load


def _load_frozen_parts(
    config: RunConfig, workdir: Path, frozen: Mapping[str, jax.ShapeDtypeStruct]
) -> Params:
    """Vision encoder and language model of their stages' runs, as Flamingo's decoder holds them."""
    mesh = next(iter(frozen.values())).sharding.mesh
    folder = Path(config.frozen.vision_encoder or workdir / CONTRASTIVE)
    saved = saved_config(folder, CONTRASTIVE)
    _check_part(saved, config, ("vision_encoder",), folder)
    vision = load_trained(
        folder,
        CONTRASTIVE,
        build.build_two_tower(saved.model).init,
        _everything,
        lambda path: path.startswith("vision_encoder/"),
        mesh,
    )
    folder = Path(config.frozen.language_model or workdir / LANGUAGE_MODEL)
    saved = saved_config(folder, LANGUAGE_MODEL)
    _check_part(saved, config, ("language_model",), folder)
    init = build.build_language_model(saved.model).init
    text = load_trained(folder, LANGUAGE_MODEL, init, _everything, mesh=mesh)
    for trained in (vision, text):
        print(f"frozen: {trained.checkpoint} (step {trained.step})")

    stored = flatten(merge(vision.params, text.params))
    shardings = {path: leaf.sharding for path, leaf in frozen.items()}
    regrouped = jax.jit(lambda leaves: regroup(leaves, frozen), out_shardings=shardings)(stored)
    return cast_to(unflatten(regrouped), unflatten(frozen))


def _check_part(saved: RunConfig, config: RunConfig, parts: tuple[str, ...], folder: Path) -> None:
    """Refuses parts of other sizes than this run's, naming the first field that differs."""
    for part in parts:
        before, now = getattr(saved.model, part), getattr(config.model, part)
        try:
            check_config(
                {"model": {part: before and dataclasses.asdict(before)}},
                {"model": {part: now and dataclasses.asdict(now)}},
                ignored=(),
            )
        except UserError as error:
            raise UserError(f"{folder}: {error}") from None


def regroup(
    stored: Mapping[str, jax.Array], wanted: Mapping[str, jax.ShapeDtypeStruct]
) -> dict[str, jax.Array]:
    """Parameters of the language model alone, as they stand in Flamingo's stacks of groups.

    The language model stacks its blocks [layers, ...]; the decoder parts them into `groups` of G
    groups of L blocks [G, L, ...] and what is left over into `last_group`. Order and values stay.

    Args:
      stored: `{path: array}`, blocks under a path ".../block/...".
      wanted: `{path: shape}` of Flamingo's frozen parameters.

    Returns:
      `{path: array}` of the wanted paths, with the stored dtypes.
    """
    blocks = {path.partition(_BLOCK)[2]: leaf for path, leaf in stored.items() if _BLOCK in path}
    in_groups = {
        path.partition(_BLOCK)[2]: leaf.shape[0] * leaf.shape[1]
        for path, leaf in wanted.items()
        if path.startswith(_FIRST_STACK)
    }
    leaves = {}
    for path, leaf in wanted.items():
        is_vision = path.startswith("vision_encoder/")
        _, block, name = path.partition(_BLOCK)
        if is_vision or not block:
            leaves[path] = stored[path]
            continue
        first = 0 if path.startswith(_FIRST_STACK) else in_groups.get(name, 0)
        layers = blocks[name][first : first + leaf.shape[0] * leaf.shape[1]]
        leaves[path] = layers.reshape(leaf.shape)
    return leaves
