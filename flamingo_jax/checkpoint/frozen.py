"""Frozen parameters: saved once per content, and referred to by their hash.

The checkpoints of a Flamingo run hold what is trained. The frozen vision encoder and language
model (70 of the 80 billion parameters of the largest model) lie beside them as `ROOT/<hash>/`, in
one copy however many checkpoints and runs refer to them.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from absl import logging

from flamingo_jax.checkpoint import arrays
from flamingo_jax.checkpoint.integrity import find_damage, write_manifest
from flamingo_jax.core.errors import UserError
from flamingo_jax.core.files import content_hash, prepare_folder, write_atomic
from flamingo_jax.core.paths import Params

_ARRAYS = "state"
_DESCRIPTION = "frozen.json"


def save_frozen(root: str | os.PathLike[str], params: Params) -> str:
    """Saves a parameter tree under its content hash, unless it is there already and whole.

    Args:
      root: the folder of all frozen trees (`WORKDIR/frozen`).
      params: `{module path: {name: array}}`.

    Returns:
      The content hash (16 hexadecimal digits), which is the name of the sub-folder.

    Raises:
      UserError: `root` is not writable.
    """
    name = content_hash(params)
    root = prepare_folder(root)
    target = root / name
    if target.is_dir():
        damage = find_damage(target)
        if damage is None:
            return name
        logging.warning("saving the frozen parameters %s again: %s", target, damage)
    leaves = arrays.name_leaves(params)
    arrays.check_storable(leaves)
    # Staged and renamed: a crash leaves no half-written folder under a hash.
    staged = root / f".staging-{name}-{os.getpid()}"
    shutil.rmtree(staged, ignore_errors=True)
    try:
        with ocp.StandardCheckpointer() as checkpointer:
            arrays.start_saving(checkpointer, staged / _ARRAYS, leaves)
        description = {"content_hash": name, "arrays": arrays.describe(leaves)}
        write_atomic(staged / _DESCRIPTION, json.dumps(description, indent=1) + "\n")
        write_manifest(staged)
        if target.is_dir():
            shutil.rmtree(target)
        os.rename(staged, target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return name


def load_frozen(root: str | os.PathLike[str], name: str, abstract: Params) -> Params:
    """Loads the frozen parameters that a hash stands for, and proves that they are those.

    Args:
      root: the folder of all frozen trees (`WORKDIR/frozen`).
      name: the hash that `save_frozen` returned.
      abstract: `{module path: {name: jax.ShapeDtypeStruct}}` with shardings.

    Returns:
      The parameters, in the given shardings, with exactly the content that has this hash.

    Raises:
      UserError: there is no such tree, it is damaged, or a path, shape or dtype differs.
    """
    folder = Path(root).expanduser().absolute() / name
    if not folder.is_dir():
        raise UserError(
            f"frozen parameters {folder} are missing; copy the folder 'frozen' along with the run"
        )
    damage = find_damage(folder)
    if damage is not None:
        raise UserError(f"frozen parameters {folder} are damaged: {damage}")
    description = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
    wanted: dict[str, Any] = arrays.name_leaves(abstract)
    where = f"frozen parameters {folder}"
    arrays.check_description(description["arrays"], wanted, partial=False, where=where)
    restored = arrays.restore_leaves(folder / _ARRAYS, wanted)
    params: Params = jax.tree.unflatten(
        jax.tree.structure(abstract), [restored[path] for path in wanted]
    )
    found = content_hash(params)
    if found != name:
        raise UserError(f"frozen parameters {folder} have the content hash {found}, not {name}")
    return params
