"""Which parameter is split how: path -> logical axes -> mesh axes.

The layout is that of Megatron-LM: the first matrix of a block (queries, keys, values; the hidden
layer) is split by columns and the second (the output) by rows, so each block costs one sum over the
mesh's model axis. Everything small or frozen at the rim is held whole by every device.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from flamingo_jax.core.errors import UserError
from flamingo_jax.core.paths import PathRules, flatten, merge, unflatten
from flamingo_jax.sharding.logical import (
    DATA,
    HEADS,
    HIDDEN,
    MEDIA_WIDTH,
    VOCABULARY,
    WHOLE_WHERE_INDIVISIBLE,
    WIDTH,
    partition_spec,
)

PyTree = Any
LogicalAxes = tuple[str, ...]

WHOLE: LogicalAxes = ()
"""Held whole by every device, whatever its number of axes."""

MAX_LAYER_AXES = 2
"""Stacked modules put up to two axes (groups, layers of a group) before those of the rules."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComponentRules:
    """The rules for one part of a model.

    Attributes:
      scope: regular expression that full-matches the paths of this component.
      rules: (regular expression of the path, logical axes of the trailing array axes); the first
        full match decides. If a model has the component, each rule must decide some parameter.
    """

    scope: str
    rules: tuple[tuple[str, LogicalAxes], ...]


PARAMETER_RULES: dict[str, ComponentRules] = {
    # Stands inside the decoder stack, so it comes before the language model.
    "cross_attention": ComponentRules(
        scope=r"(.*/)?cross_attention/.*",
        rules=(
            (r".*/feed_forward/hidden/w", (WIDTH, HIDDEN)),
            (r".*/feed_forward/output/w", (HIDDEN, WIDTH)),
            (r".*/query/w", (WIDTH, HEADS)),
            (r".*/(key|value)/w", (MEDIA_WIDTH, HEADS)),
            (r".*/output/w", (HEADS, WIDTH)),
            (r".*_norm/(scale|offset)", WHOLE),
            (r".*/(attention|feed_forward)_gate", WHOLE),
        ),
    ),
    "language_model": ComponentRules(
        scope=r"(.*/)?language_model/.*",
        rules=(
            (r"language_model/embedding", (VOCABULARY, WIDTH)),
            (r".*/attention/(query|key|value|relative_position)/w", (WIDTH, HEADS)),
            (r".*/attention/(query|key|value)/b", (HEADS,)),
            (r".*/attention/(content|position)_bias", (HEADS,)),
            (r".*/attention/output/w", (HEADS, WIDTH)),
            (r".*/feed_forward/hidden/w", (WIDTH, HIDDEN)),
            (r".*/feed_forward/hidden/b", (HIDDEN,)),
            (r".*/feed_forward/output/w", (HIDDEN, WIDTH)),
            (r".*/output/b", WHOLE),
            (r".*_norm[/_]scale", WHOLE),
        ),
    ),
    "media_projection": ComponentRules(
        scope=r"media_projection/.*", rules=((r".*", WHOLE),)
    ),
    "resampler": ComponentRules(scope=r"resampler/.*", rules=((r".*", WHOLE),)),
    "extra_embeddings": ComponentRules(scope=r"extra_embeddings/.*", rules=((r".*", WHOLE),)),
    "vision_encoder": ComponentRules(scope=r"vision_encoder/.*", rules=((r".*", WHOLE),)),
    "text_tower": ComponentRules(scope=r"text_tower/.*", rules=((r".*", WHOLE),)),
    "two_tower": ComponentRules(scope=r"two_tower/.*", rules=((r".*", WHOLE),)),
}
"""The layout of every parameter. A path in no scope, and a rule without a parameter, are errors."""


def parameter_shardings(
    mesh: Mesh,
    abstract_params: Mapping[str, Mapping[str, Any]],
    rules: Mapping[str, ComponentRules] = PARAMETER_RULES,
) -> dict[str, dict[str, NamedSharding]]:
    """The sharding of every parameter of a model.

    Args:
      mesh: with the axes "data" and "model".
      abstract_params: `{module path: {name: leaf}}`; leaves have a shape (arrays or
        `jax.ShapeDtypeStruct`).
      rules: by component; the first scope that matches a path has it.

    Returns:
      A tree of the same form with a `NamedSharding` in place of each leaf.

    Raises:
      UserError: a parameter in no component or under no rule, a rule that decides no parameter of
        a component that the model has, or an axis that the mesh does not divide. It names the path.
    """
    leaves = flatten(abstract_params)
    scopes = PathRules(
        ((component.scope, name) for name, component in rules.items()), "sharding components"
    )
    paths_of_component: dict[str, list[str]] = {}
    for path in leaves:
        paths_of_component.setdefault(scopes.match(path), []).append(path)
    axes: dict[str, LogicalAxes] = {}
    for name, paths in paths_of_component.items():
        axes |= PathRules(rules[name].rules, f"sharding rules of {name}").assign(paths)
    return unflatten(
        {
            path: NamedSharding(mesh, _spec(mesh, path, tuple(leaf.shape), axes[path]))
            for path, leaf in leaves.items()
        }
    )


def _spec(mesh: Mesh, path: str, shape: tuple[int, ...], axes: LogicalAxes) -> PartitionSpec:
    """The mesh axes of one parameter, checked against its shape."""
    if axes == WHOLE:
        return PartitionSpec()
    layer_axes = len(shape) - len(axes)
    if not 0 <= layer_axes <= MAX_LAYER_AXES:
        raise UserError(
            f"parameter {path!r} of shape {shape} does not fit its sharding rule {axes}: expected"
            f" these axes after 0 to {MAX_LAYER_AXES} layer axes"
        )
    all_axes: list[str | None] = [None] * layer_axes + list(axes)
    spec = list(partition_spec(all_axes))
    for index, (size, axis, mesh_axis) in enumerate(zip(shape, all_axes, spec, strict=True)):
        if mesh_axis is None or size % mesh.shape[mesh_axis] == 0:
            continue
        if axis not in WHOLE_WHERE_INDIVISIBLE:
            raise UserError(
                f"parameter {path!r} of shape {shape}: its {axis} axis of {size} does not divide"
                f" over mesh.{mesh_axis}={mesh.shape[mesh_axis]}; choose a divisor of {size}"
            )
        spec[index] = None
    return PartitionSpec(*spec)


def state_shardings(mesh: Mesh, state: PyTree) -> PyTree:
    """The sharding of every array of a training state.

    Args:
      mesh: with the axes "data" and "model".
      state: has the attributes `trainable` and `frozen` (two-level parameter dicts) and any others
        (step, optimizer state, rng); leaves are arrays or `jax.ShapeDtypeStruct`.

    Returns:
      A tree of the same structure with `NamedSharding` leaves. Parameters follow the rules. An
      array of the optimizer that belongs to a parameter (it stands under the same module and name,
      in any optimizer, and has the same shape) follows that parameter. All else is held whole.

    Raises:
      UserError: as `parameter_shardings`.
    """
    params = flatten(merge(state.trainable, state.frozen))
    shardings = flatten(parameter_shardings(mesh, unflatten(params)))
    whole = NamedSharding(mesh, PartitionSpec())

    def sharding_of(keys: tuple[Any, ...], leaf: Any) -> NamedSharding:
        path = "/".join(str(key.key) for key in keys[-2:] if isinstance(key, jax.tree_util.DictKey))
        if path in params and tuple(leaf.shape) == tuple(params[path].shape):
            return shardings[path]
        return whole

    return jax.tree_util.tree_map_with_path(sharding_of, state)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The sharding of every array of a batch: axis 0 (examples) over the data axis."""
    return NamedSharding(mesh, PartitionSpec(DATA))


def to_global(mesh: Mesh, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """Puts a host batch on the devices of the mesh.

    Args:
      mesh: with the axes "data" and "model".
      batch: `{key: array [B, ...]}`, the examples that this process contributes (all of them where
        there is one process).

    Returns:
      `{key: global array}` with axis 0 split over the data axis.

    Raises:
      UserError: the batch does not divide over the data axis.
    """
    sharding = batch_sharding(mesh)
    num_shards = math.ceil(mesh.shape[DATA] / jax.process_count())
    for key, array in batch.items():
        if array.shape[0] % num_shards:
            raise UserError(
                f"a batch of {array.shape[0]} ({key!r}) does not divide over"
                f" mesh.data={mesh.shape[DATA]}; set batch_size to a multiple of it"
            )
    return {
        key: jax.make_array_from_process_local_data(sharding, np.asarray(array))
        for key, array in batch.items()
    }
