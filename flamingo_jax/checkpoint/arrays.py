"""Trees of arrays on disk: named leaves, their description, and restoring into shardings.

A tree is saved as one flat dict `{path: array}`, where a path names the way to a leaf
("trainable/resampler/latents/w", "optimizer_state/1/0/mu/..."). The containers (NamedTuples of
optax, dataclasses, empty nodes) come back from the abstract tree given on restore, and a part of
a state can be read without knowing the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from flamingo_jax.core.errors import UserError

PyTree = Any
Description = dict[str, dict[str, Any]]


def name_leaves(tree: PyTree) -> dict[str, Any]:
    """Names every leaf of a tree by the keys, fields and positions that lead to it.

    Args:
      tree: any pytree of arrays, or of `jax.ShapeDtypeStruct`.

    Returns:
      `{path: leaf}` in the tree's own order; keys, field names and positions joined by slashes.

    Raises:
      ValueError: two leaves with the same path.
    """
    keyed_leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    leaves = {
        jax.tree_util.keystr(keys, simple=True, separator="/"): leaf for keys, leaf in keyed_leaves
    }
    if len(leaves) != len(keyed_leaves):
        raise ValueError("two leaves of the tree have the same path")
    return leaves


def check_storable(leaves: Mapping[str, Any]) -> None:
    """Refuses leaves that would not come back bit for bit.

    Raises:
      TypeError: a leaf that is no array (a Python number), or has a 64-bit type while JAX works
        in 32 bits, so that restoring would silently narrow it.
    """
    for path, leaf in leaves.items():
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic):
            raise TypeError(f"{path!r} is {type(leaf).__name__}, not an array; wrap it in one")
        if not isinstance(leaf, jax.Array) and jax.dtypes.canonicalize_dtype(leaf.dtype) != (
            leaf.dtype
        ):
            raise TypeError(f"{path!r} is {leaf.dtype}, which JAX would narrow on restoring")


def describe(leaves: Mapping[str, Any]) -> Description:
    """The shape and dtype of every leaf, as plain JSON values: `{path: {"shape", "dtype"}}`."""
    return {
        path: {"shape": list(leaf.shape), "dtype": str(leaf.dtype)} for path, leaf in leaves.items()
    }


def check_description(
    saved: Description, wanted: Mapping[str, Any], *, partial: bool, where: str
) -> None:
    """Checks that a saved tree is the one that a run wants; Orbax itself would cast dtypes.

    Args:
      saved: what `describe` said of the saved tree.
      wanted: `{path: array or jax.ShapeDtypeStruct}` of the run.
      partial: whether the saved tree may hold more than is wanted.
      where: the checkpoint, for messages.

    Raises:
      UserError: a wanted array is missing, has another shape or dtype, or (unless `partial`) the
        checkpoint holds an array that is not wanted. The message names the path.
    """
    for path, expected in describe(wanted).items():
        if path not in saved:
            raise UserError(
                f"{where} has no array {path!r}, which this run needs;"
                " it was saved by another config or version"
            )
        for quality in ("shape", "dtype"):
            if saved[path][quality] != expected[quality]:
                raise UserError(
                    f"{where}: {path!r} has {quality} {_plain(saved[path][quality])},"
                    f" this run needs {_plain(expected[quality])}"
                )
    for path in saved:
        if not partial and path not in wanted:
            raise UserError(
                f"{where} holds the array {path!r}, which this run does not have;"
                " it was saved by another config or version"
            )


def _plain(quality: Any) -> str:
    return str(tuple(quality)) if isinstance(quality, list) else str(quality)


def start_saving(
    checkpointer: ocp.StandardCheckpointer, folder: Path, leaves: Mapping[str, Any]
) -> None:
    """Starts writing leaves to a new folder; returns once they may be overwritten in memory.

    Args:
      checkpointer: writes in the background; `wait_until_finished` ends the save.
      folder: absolute; must not exist.
      leaves: `{path: array}`.
    """
    # Orbax refuses arrays without elements; their description says all there is to know of them.
    checkpointer.save(folder, {path: leaf for path, leaf in leaves.items() if leaf.size})


def restore_leaves(folder: Path, wanted: Mapping[str, Any]) -> dict[str, jax.Array]:
    """Reads arrays straight into the shardings of their abstract counterparts.

    Args:
      folder: what `start_saving` wrote.
      wanted: `{path: jax.ShapeDtypeStruct or array}`, all or some of the saved ones; a leaf
        without a sharding goes to the first device.

    Returns:
      `{path: array}` for every wanted path.
    """
    first_device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    abstract = {
        path: jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None) or first_device
        )
        for path, leaf in wanted.items()
    }
    with_elements = {path: leaf for path, leaf in abstract.items() if leaf.size}
    restored: dict[str, jax.Array] = {}
    if with_elements:
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            restored = checkpointer.restore(
                folder,
                args=ocp.args.PyTreeRestore(
                    item=with_elements,
                    restore_args=ocp.checkpoint_utils.construct_restore_args(with_elements),
                    partial_restore=True,
                ),
            )
    return {
        path: restored[path]
        if path in restored
        else jax.device_put(np.zeros(leaf.shape, leaf.dtype), leaf.sharding)
        for path, leaf in abstract.items()
    }
