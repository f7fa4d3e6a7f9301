"""The three stages: which model, which step, what is trained, and where stored values come from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

from flamingo_jax.checkpoint.compatibility import check_config
from flamingo_jax.config import RunConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.core.paths import Params, flatten, merge, unflatten
from flamingo_jax.models import build
from flamingo_jax.models.layers_apart import Stacks
from flamingo_jax.training.accumulation import Batch, Metrics, Shard
from flamingo_jax.training.state import TrainState
from flamingo_jax.training.steps import contrastive, flamingo, language_model
from flamingo_jax.training.trained import (
    CHECKPOINT_FOLDER,
    Init,
    Trained,
    cast_to,
    load_saved_parameters,
    load_trained,
    saved_config,
)

CONTRASTIVE = "contrastive"
LANGUAGE_MODEL = "language_model"
FLAMINGO = "flamingo"

PRETRAINED_PARTS = ("vision_encoder", "language_model")
"""Modules that Flamingo takes from the stages before it; anywhere in a path."""

_MAY_DIFFER_IN_PARTS = ("model.vision_encoder.image_size", "model.vision_encoder.images_at_once")
"""The paper's vision encoder learns from 288 pixels and is used at 320 (paper, section 3)."""

_BLOCK = "/block/"
_STACKS = ("leading_blocks", "groups", "last_group")
"""Flamingo's stacks of the language model's blocks, in their order."""


Step = Callable[[TrainState, Mapping[str, Batch]], tuple[TrainState, Metrics]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """What one stage brings to the loop.

    Attributes:
      name: names the stage and its folder in the workdir.
      init: `init(rng) -> parameters`, trainable and frozen ones; traced, never run as it stands.
      is_trainable: whether the parameter of a path is trained; the others are frozen.
      load_parameters: `load(abstract) -> parameters`: stored values that take the place of the
        initial ones when a run starts (not when it resumes). Takes all parameters as
        `ShapeDtypeStruct` with shardings and returns some of them, the frozen ones among them.
      make_step: `make_step(optimizer, shard) -> step`, see `accumulation.update`.
      stacks: which parameters are stacked, if the step takes them apart as well
        (`config.model.layers_apart`); else None.
    """

    name: str
    init: Init
    is_trainable: Callable[[str], bool]
    load_parameters: Callable[[Params], Params]
    make_step: Callable[[optax.GradientTransformation, Shard], Step]
    stacks: Stacks | None = None


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
        make_step=lambda optimizer, shard: contrastive.make_step(
            functions, optimizer, config.data, config.label_smoothing, shard
        ),
    )


def _language_model(config: RunConfig) -> Stage:
    functions = build.build_language_model(config.model)
    return Stage(
        name=LANGUAGE_MODEL,
        init=functions.init,
        is_trainable=_everything,
        load_parameters=_initial_loader(config),
        make_step=lambda optimizer, shard: language_model.make_step(
            functions, optimizer, config.data, shard
        ),
    )


def _flamingo(config: RunConfig, workdir: Path) -> Stage:
    functions = build.build_flamingo(config.model)
    frozen_dtype = jnp.dtype(config.model.precision.frozen)
    vision = config.model.vision_encoder
    images_at_once = vision.images_at_once if vision else 0
    how = dataclasses.asdict(config.unfrozen)  # {part: "", "pretrained" or "random"}

    def is_frozen(path: str) -> bool:
        part = pretrained_part(path)
        return part is not None and not how[part]

    def init(rng: jax.Array) -> Params:
        leaves = flatten(functions.init(rng))
        return unflatten(
            {
                path: leaf.astype(frozen_dtype) if is_frozen(path) else leaf
                for path, leaf in leaves.items()
            }
        )

    def load_parameters(abstract: Params) -> Params:
        wanted = {
            path: leaf
            for path, leaf in flatten(abstract).items()
            for part in [pretrained_part(path)]
            if part is not None and how[part] != "random"
        }
        return _load_pretrained_parts(config, workdir, wanted)

    return Stage(
        name=FLAMINGO,
        init=init,
        is_trainable=lambda path: not is_frozen(path),
        load_parameters=load_parameters,
        make_step=lambda optimizer, shard: flamingo.make_step(
            functions, optimizer, config.data, shard, images_at_once
        ),
        stacks=functions.stacks,
    )


def pretrained_part(path: str) -> str | None:
    """Which of `PRETRAINED_PARTS` a parameter of Flamingo belongs to, if any.

    Flamingo leaves these as they are, unless `config.unfrozen` says otherwise. The language model's
    blocks stand inside the decoder's stacks, so its name may be any module of the path.
    """
    modules = path.split("/")
    return next((part for part in PRETRAINED_PARTS if part in modules), None)


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


def _load_pretrained_parts(
    config: RunConfig, workdir: Path, wanted: Mapping[str, jax.ShapeDtypeStruct]
) -> Params:
    """The parts of the stages before, of the wanted paths, as Flamingo's decoder holds them."""
    parts = {pretrained_part(path) for path in wanted}
    loaded = []
    if "vision_encoder" in parts:
        folder = Path(config.frozen.vision_encoder or workdir / CONTRASTIVE)
        loaded.append(_load_part(config, "vision_encoder", folder, CONTRASTIVE, wanted))
    if "language_model" in parts:
        folder = Path(config.frozen.language_model or workdir / LANGUAGE_MODEL)
        loaded.append(_load_part(config, "language_model", folder, LANGUAGE_MODEL, wanted))
    for trained in loaded:
        print(f"pretrained: {trained.checkpoint} (step {trained.step})")
    if not loaded:
        return {}

    stored = flatten(merge(*[trained.params for trained in loaded]))
    shardings = {path: leaf.sharding for path, leaf in wanted.items()}
    regrouped = jax.jit(lambda leaves: regroup(leaves, wanted), out_shardings=shardings)(stored)
    return cast_to(unflatten(regrouped), unflatten(wanted))


def _load_part(
    config: RunConfig,
    part: str,
    folder: Path,
    stage: str,
    wanted: Mapping[str, jax.ShapeDtypeStruct],
) -> Trained:
    """One part from the run folder of the stage that trained it."""
    saved = saved_config(folder, stage)
    _check_part(saved, config, (part,), folder)
    init = make_stage(saved, folder.parent).init
    mesh = next(iter(wanted.values())).sharding.mesh
    return load_trained(
        folder, stage, init, _everything, lambda path: path.startswith(f"{part}/"), mesh
    )


def _check_part(saved: RunConfig, config: RunConfig, parts: tuple[str, ...], folder: Path) -> None:
    """Refuses parts of other sizes than this run's, naming the first field that differs."""
    for part in parts:
        before, now = getattr(saved.model, part), getattr(config.model, part)
        try:
            check_config(
                {"model": {part: before and dataclasses.asdict(before)}},
                {"model": {part: now and dataclasses.asdict(now)}},
                ignored=_MAY_DIFFER_IN_PARTS,
            )
        except UserError as error:
            raise UserError(f"{folder}: {error}") from None


def regroup(
    stored: Mapping[str, jax.Array], wanted: Mapping[str, jax.ShapeDtypeStruct]
) -> dict[str, jax.Array]:
    """Parameters of the language model alone, as they stand in Flamingo's stacks of groups.

    The language model stacks its blocks [layers, ...]; the decoder parts them into stacks of G
    groups of L blocks [G, L, ...], see `_STACKS`. Order and values stay.

    Args:
      stored: `{path: array}`, blocks under a path ".../block/...".
      wanted: `{path: shape}` of Flamingo's pretrained parameters.

    Returns:
      `{path: array}` of the wanted paths, with the stored dtypes.
    """
    blocks = {path.partition(_BLOCK)[2]: leaf for path, leaf in stored.items() if _BLOCK in path}
    leaves = {}
    for path, leaf in wanted.items():
        stack, _, rest = path.partition("/")
        if stack not in _STACKS:
            leaves[path] = stored[path]
            continue
        earlier = [f"{name}/{rest}" for name in _STACKS[: _STACKS.index(stack)]]
        first = sum(math.prod(wanted[other].shape[:2]) for other in earlier if other in wanted)
        layers = blocks[path.partition(_BLOCK)[2]][first : first + math.prod(leaf.shape[:2])]
        leaves[path] = layers.reshape(leaf.shape)
    return leaves
