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
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from flamingo_jax.config import MeshConfig
from flamingo_jax.core.errors import UserError
from flamingo_jax.core.paths import PathRules, flatten, merge, unflatten
from flamingo_jax.sharding.logical import (
    BATCH,
    DATA,
    HEADS,
    HIDDEN,
    MEDIA_WIDTH,
    REPLICA,
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
      optional: rules behind these that need not decide any: for parameters that some configs lack.
    """

    scope: str
    rules: tuple[tuple[str, LogicalAxes], ...]
    optional: tuple[tuple[str, LogicalAxes], ...] = ()


_BLOCK_RULES: tuple[tuple[str, LogicalAxes], ...] = (
    (r".*/attention/(query|key|value|relative_position)/w", (WIDTH, HEADS)),
    (r".*/attention/(query|key|value)/b", (HEADS,)),
    (r".*/attention/(content|position)_bias", (HEADS,)),
    (r".*/attention/output/w", (HEADS, WIDTH)),
    (r".*/feed_forward/hidden/w", (WIDTH, HIDDEN)),
    (r".*/feed_forward/hidden/b", (HIDDEN,)),
    (r".*/feed_forward/output/w", (HIDDEN, WIDTH)),
    (r".*/output/b", WHOLE),
    (r".*_norm[/_]scale", WHOLE),
)

PARAMETER_RULES: dict[str, ComponentRules] = {
    # Stands inside the decoder's stacks, so it comes before the language model. Which of the last
    # three a layer has is the config's choice.
    "cross_attention": ComponentRules(
        scope=r"(.*/)?cross_attention/.*",
        rules=(
            (r".*/query/w", (WIDTH, HEADS)),
            (r".*/(key|value)/w", (MEDIA_WIDTH, HEADS)),
            (r".*/cross_attention/output/w", (HEADS, WIDTH)),
            (r".*_norm/(scale|offset)", WHOLE),
        ),
        optional=(
            (r".*/feed_forward/hidden/w", (WIDTH, HIDDEN)),
            (r".*/feed_forward/output/w", (HIDDEN, WIDTH)),
            (r".*/(attention|feed_forward)_gate", WHOLE),
        ),
    ),
    "grafted": ComponentRules(scope=r"grafted/.*", rules=_BLOCK_RULES),
    "language_model": ComponentRules(
        scope=r"(.*/)?language_model/.*",
        rules=((r"language_model/embedding", (VOCABULARY, WIDTH)), *_BLOCK_RULES),
    ),
    "media_projection": ComponentRules(scope=r"media_projection/.*", rules=((r".*", WHOLE),)),
    "resampler": ComponentRules(scope=r"resampler/.*", rules=((r".*", WHOLE),)),
    "extra_embeddings": ComponentRules(scope=r"extra_embeddings/.*", rules=((r".*", WHOLE),)),
    "vision_encoder": ComponentRules(scope=r"vision_encoder/.*", rules=((r".*", WHOLE),)),
    "text_tower": ComponentRules(scope=r"text_tower/.*", rules=((r".*", WHOLE),)),
    "two_tower": ComponentRules(scope=r"two_tower/.*", rules=((r".*", WHOLE),)),
}
"""The layout of every parameter. A path in no scope, and a rule without a parameter, are errors."""


def parameter_shardings(
    mesh: Mesh | AbstractMesh,
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
    axes = _logical_axes(leaves, rules)
    return unflatten(
        {
            path: NamedSharding(mesh, _spec(mesh, path, tuple(leaf.shape), axes[path]))
            for path, leaf in leaves.items()
        }
    )


def _logical_axes(
    leaves: Mapping[str, Any], rules: Mapping[str, ComponentRules]
) -> dict[str, LogicalAxes]:
    """The rule of every path, after the check that no path and no rule is left over."""
    scopes = PathRules(
        ((component.scope, name) for name, component in rules.items()), "sharding components"
    )
    paths_of_component: dict[str, list[str]] = {}
    for path in leaves:
        paths_of_component.setdefault(scopes.match(path), []).append(path)
    axes: dict[str, LogicalAxes] = {}
    for name, paths in paths_of_component.items():
        component, title = rules[name], f"sharding rules of {name}"
        optional = PathRules(component.optional, title)
        axes |= {path: optional.match(path) for path in paths if optional.covers(path)}
        axes |= PathRules(component.rules, title).assign([p for p in paths if p not in axes])
    return axes


def _spec(
    mesh: Mesh | AbstractMesh, path: str, shape: tuple[int, ...], axes: LogicalAxes
) -> PartitionSpec:
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


def sharded_over_data(
    mesh: Mesh | AbstractMesh, params: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, NamedSharding]]:
    """The rules' shardings with one more axis of each parameter split over the data axis.

    ZeRO-1 (Rajbhandari et al. 2020, section 5) gives optimizer moments and accumulated gradients
    this layout, `mesh.shard_frozen` the frozen parameters. The axis is the first one that divides
    and is not split yet. The axes that count layers are left out: a stack is computed layer by
    layer, and every device takes part in each. (Where a rule does not tell how many these are, it
    is the first one of several.) A parameter without such an axis stays as the rules have it.

    Args:
      mesh: with the axes "data" and "model".
      params: `{module path: {name: leaf}}`; leaves have a shape.

    Returns:
      A tree of the same form with a `NamedSharding` in place of each leaf.

    Raises:
      UserError: as `parameter_shardings`.
    """
    leaves = flatten(params)
    axes = _logical_axes(leaves, PARAMETER_RULES)
    shardings = flatten(parameter_shardings(mesh, params))
    return unflatten(
        {
            path: NamedSharding(mesh, _with_data_axis(mesh, tuple(leaf.shape), spec.spec, first))
            for path, leaf in leaves.items()
            for spec in [shardings[path]]
            for first in [_num_layer_axes(tuple(leaf.shape), axes[path])]
        }
    )


def _num_layer_axes(shape: tuple[int, ...], axes: LogicalAxes) -> int:
    return min(len(shape) - 1, 1) if axes == WHOLE else len(shape) - len(axes)


def _with_data_axis(
    mesh: Mesh | AbstractMesh, shape: tuple[int, ...], spec: PartitionSpec, first: int
) -> PartitionSpec:
    """`spec` with the data axis at the first axis from `first` on that is free and divides."""
    names = [*spec, *[None] * (len(shape) - len(spec))]
    for index in range(max(first, 0), len(shape)):
        if names[index] is None and shape[index] % mesh.shape[DATA] == 0:
            names[index] = DATA
            return PartitionSpec(*names)
    return spec


def state_shardings(
    mesh: Mesh | AbstractMesh, state: PyTree, layout: MeshConfig | None = None
) -> PyTree:
    """The sharding of every array of a training state.

    Args:
      mesh: with the axes "data" and "model".
      state: has the attributes `trainable` and `frozen` (two-level parameter dicts) and any others
        (step, optimizer state, rng); leaves are arrays or `jax.ShapeDtypeStruct`.
      layout: says whether optimizer state and frozen parameters are split over the data axis;
        the defaults of `MeshConfig` if not given.

    Returns:
      A tree of the same structure with `NamedSharding` leaves. Parameters follow the rules. An
      array of the optimizer that belongs to a parameter (it stands under the same module and name,
      in any optimizer, and has the same shape) follows that parameter, split over the data axis
      with `layout.shard_optimizer`. All else is held whole.

    Raises:
      UserError: as `parameter_shardings`.
    """
    layout = layout or MeshConfig()
    params = flatten(merge(state.trainable, state.frozen))
    shardings = flatten(parameter_shardings(mesh, unflatten(params)))
    over_data = flatten(sharded_over_data(mesh, unflatten(params)))
    frozen = over_data if layout.shard_frozen else shardings
    moments = over_data if layout.shard_optimizer else shardings
    whole = NamedSharding(mesh, PartitionSpec())

    def sharding_of(keys: tuple[Any, ...], leaf: Any) -> NamedSharding:
        part = keys[0].name if isinstance(keys[0], jax.tree_util.GetAttrKey) else ""
        path = "/".join(str(key.key) for key in keys[-2:] if isinstance(key, jax.tree_util.DictKey))
        if path in params and tuple(leaf.shape) == tuple(params[path].shape):
            return {"trainable": shardings, "frozen": frozen}.get(part, moments)[path]
        return whole

    return jax.tree_util.tree_map_with_path(sharding_of, state)


def batch_sharding(mesh: Mesh | AbstractMesh) -> NamedSharding:
    """The sharding of every array of a batch: axis 0 (examples) over replicas and data."""
    return NamedSharding(mesh, partition_spec([BATCH]))


def rows_of_process(mesh: Mesh, batch_size: int) -> range:
    """Which rows of a global batch this process makes: those that lie on its devices.

    Args:
      mesh: of the run.
      batch_size: rows of the global batch.

    Returns:
      Neighbouring rows. Processes that share a slice of the batch, because the weights are split
      between them, make the same rows.

    Raises:
      UserError: the batch does not divide over replicas and data, or the rows of this process do
        not follow each other.
    """
    num_shards = mesh.shape[REPLICA] * mesh.shape[DATA]
    if batch_size % num_shards:
        raise UserError(
            f"a batch of {batch_size} does not divide over mesh.replica={mesh.shape[REPLICA]} times"
            f" mesh.data={mesh.shape[DATA]}; set batch_size to a multiple of it"
        )
    slices = batch_sharding(mesh).addressable_devices_indices_map((batch_size,)).values()
    found = sorted({row for index in slices if index for row in range(batch_size)[index[0]]})
    rows = range(found[0], found[-1] + 1)
    if len(rows) != len(found):
        raise UserError(
            f"process {jax.process_index()} would make rows {found[0]} to {found[-1]} of a batch"
            " with gaps; give the mesh its devices in the order of the processes"
        )
    return rows


def to_global(mesh: Mesh, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """Puts a host batch on the devices of the mesh.

    Args:
      mesh: of the run.
      batch: `{key: array [B, ...]}`, the rows that this process makes (`rows_of_process`; all of
        them where there is one process).

    Returns:
      `{key: global array}` with axis 0 split over the replica and data axes.

    Raises:
      UserError: the batch does not divide over them.
    """
    sharding = batch_sharding(mesh)
    num_shards = math.ceil(mesh.shape[REPLICA] * mesh.shape[DATA] / jax.process_count())
    for key, array in batch.items():
        if array.shape[0] % num_shards:
            raise UserError(
                f"a batch of {array.shape[0]} ({key!r}) does not divide over"
                f" mesh.replica={mesh.shape[REPLICA]} times mesh.data={mesh.shape[DATA]};"
                " set batch_size to a multiple of it"
            )
    return {
        key: jax.make_array_from_process_local_data(sharding, np.asarray(array))
        for key, array in batch.items()
    }
