"""Saving and restoring the state of a run: asynchronous, sharded, and proof against bit rot.

On disk:

    FOLDER/<step>/state/            the arrays, written by Orbax
    FOLDER/<step>/checkpoint.json   shapes and dtypes of the arrays, and the caller's metadata
    FOLDER/<step>/integrity.json    size and sha256 of all these files
    FOLDER/.staging/                a save in progress, or what a crash left of one
    FOLDER/<step>.damaged/          a step that failed its integrity check, set aside

A step is written and sealed in `.staging` and then renamed, so a folder with a numeric name is
whole from its first moment, and a process killed during a save leaves the older steps as they were.
"""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import orbax.checkpoint as ocp
from absl import logging

from flamingo_jax.checkpoint import arrays
from flamingo_jax.checkpoint.integrity import find_damage, write_manifest
from flamingo_jax.core.errors import UserError
from flamingo_jax.core.files import prepare_folder, write_atomic

PyTree = arrays.PyTree
Metadata = dict[str, Any]

_STAGING = ".staging"
_ARRAYS = "state"
_DESCRIPTION = "checkpoint.json"


class Checkpointer:
    """Saves the newest steps of one run and restores them. One writer per folder at a time.

    A reader (an evaluation beside a running training) makes its own object and never calls `save`;
    only `save` changes the folder.
    """

    def __init__(self, folder: str | os.PathLike[str], keep: int) -> None:
        """Touches nothing on disk yet; the first `save` makes the folder.

        Args:
          folder: holds one sub-folder per step.
          keep: how many of the newest steps stay on disk, at least 1.

        Raises:
          UserError: `keep` is below 1.
        """
        if keep < 1:
            raise UserError(f"checkpoints to keep must be at least 1, not {keep}")
        self._folder = Path(folder).expanduser().absolute()
        self._keep = keep
        self._verified: set[int] = set()
        self._ready_to_save = False
        self._pending: Future[None] | None = None
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._checkpointer = ocp.StandardCheckpointer()

    def save(self, step: int, state: PyTree, metadata: Metadata) -> None:
        """Starts saving a step in the background.

        Returns when the arrays are copied, so their buffers may be donated to the next step. If
        the save before is still being written, waits for it first. A step that is already saved
        and whole is not written again.

        Args:
          step: 0 or more, and more than every step saved before.
          state: a pytree of JAX or numpy arrays; PRNG keys may be typed or raw.
          metadata: JSON values (data positions, config, frozen hashes); tuples come back as lists.

        Raises:
          UserError: the folder is not writable, holds a newer step, or the save before failed.
          TypeError: the state or the metadata holds something that cannot be stored exactly.
        """
        self.wait()
        leaves = arrays.name_leaves(state)
        arrays.check_storable(leaves)
        description = json.dumps(
            {"step": step, "arrays": arrays.describe(leaves), "metadata": metadata}, indent=1
        )
        if not self._ready_to_save:
            self._prepare_to_save()
        newest = max(self._steps(), default=-1)
        if newest == step:
            logging.info("checkpoint of step %d is already saved", step)
            return
        if newest > step:
            raise UserError(
                f"{self._folder} holds a checkpoint of step {newest}, newer than step {step};"
                " go on from that one, or choose another workdir"
            )
        staged = self._folder / _STAGING / str(step)
        arrays.start_saving(self._checkpointer, staged / _ARRAYS, leaves)
        self._pending = self._executor.submit(self._finish, step, staged, description)

    def latest(self) -> int | None:
        """The newest step that is whole, by the sha256 of its every file.

        Returns:
          The step; None when the folder holds no step at all (a new run). Steps that fail the
          check, and empty folders, are skipped with a warning.

        Raises:
          UserError: there are steps, but none is whole: the run must not silently start anew.
        """
        self.wait()
        steps = self._steps()
        damages = []
        for step in reversed(steps):
            damage = self._find_damage(step)
            if damage is None:
                return step
            damages.append(f"step {step}: {damage}")
            logging.warning(
                "skipping the damaged checkpoint %s: %s", self._folder / str(step), damage
            )
        if damages:
            raise UserError(
                f"no checkpoint in {self._folder} is whole ({'; '.join(damages)});"
                " restore the folder from a copy, or remove it to start from scratch"
            )
        return None

    def restore(
        self, step: int, abstract: PyTree, *, partial: bool = False
    ) -> tuple[PyTree, Metadata]:
        """Restores a step, bit for bit, straight into shardings.

        Args:
          step: a saved step, usually from `latest()`.
          abstract: the tree that was saved, with `jax.ShapeDtypeStruct` (or arrays) as leaves;
            their shardings say where each array goes (without one: the first device).
          partial: take only what `abstract` holds, for example `{"trainable": ...}` for the
            parameters of a state without its optimizer. Paths count, not container types.

        Returns:
          (state, metadata): a tree with the structure of `abstract`, and the saved metadata.

        Raises:
          UserError: the step does not exist or is damaged; or an array is missing, not wanted, or
            has another shape or dtype, named by its path.
        """
        self.wait()
        description = self._read_description(step)
        wanted = arrays.name_leaves(abstract)
        where = f"checkpoint {self._folder / str(step)}"
        arrays.check_description(description["arrays"], wanted, partial=partial, where=where)
        restored = arrays.restore_leaves(self._folder / str(step) / _ARRAYS, wanted)
        structure = jax.tree.structure(abstract)
        state = jax.tree.unflatten(structure, [restored[path] for path in wanted])
        return state, description["metadata"]

    def metadata(self, step: int) -> Metadata:
        """The metadata that a step was saved with, without reading its arrays into memory.

        Raises:
          UserError: the step does not exist or is damaged.
        """
        self.wait()
        return self._read_description(step)["metadata"]

    def wait(self) -> None:
        """Blocks until the save in progress, if any, is on disk under its step.

        Raises:
          UserError: it could not be written (the disk is full, the folder has gone).
        """
        pending, self._pending = self._pending, None
        if pending is None:
            return
        try:
            pending.result()
        except OSError as error:
            raise UserError(f"cannot write a checkpoint to {self._folder}: {error}") from error

    def close(self) -> None:
        """Waits for the save in progress and ends the background threads."""
        try:
            self.wait()
        finally:
            self._executor.shutdown()
            self._checkpointer.close()

    def __enter__(self) -> Checkpointer:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _steps(self) -> list[int]:
        """All folders with a numeric name, whole or not, in rising order."""
        if not self._folder.is_dir():
            return []
        return sorted(
            int(path.name)
            for path in self._folder.iterdir()
            if path.name.isdecimal() and path.name == str(int(path.name)) and path.is_dir()
        )

    def _find_damage(self, step: int) -> str | None:
        if step in self._verified:
            return None
        damage = find_damage(self._folder / str(step))
        if damage is None:
            self._verified.add(step)
        return damage

    def _read_description(self, step: int) -> dict[str, Any]:
        steps = self._steps()
        if step not in steps:
            raise UserError(
                f"{self._folder} has no checkpoint of step {step}; it has"
                f" {', '.join(map(str, steps)) or 'none'}"
            )
        damage = self._find_damage(step)
        if damage is not None:
            raise UserError(f"checkpoint {self._folder / str(step)} is damaged: {damage}")
        text = (self._folder / str(step) / _DESCRIPTION).read_text(encoding="utf-8")
        return json.loads(text)

    def _prepare_to_save(self) -> None:
        """Makes the folder, clears what a crash left, and sets damaged steps aside.

        The run goes on from the newest whole step and will come by the damaged ones again.
        """
        if jax.process_index() == 0:
            prepare_folder(self._folder)
            shutil.rmtree(self._folder / _STAGING, ignore_errors=True)
            for step in self._steps():
                if self._find_damage(step) is not None:
                    self._set_aside(step)
        self._ready_to_save = True

    def _set_aside(self, step: int) -> None:
        target = self._folder / f"{step}.damaged"
        shutil.rmtree(target, ignore_errors=True)
        os.rename(self._folder / str(step), target)
        logging.warning("set the damaged checkpoint of step %d aside as %s", step, target)

    def _finish(self, step: int, staged: Path, description: str) -> None:
        """Runs in the background: seals the staged step, publishes it, and removes old steps."""
        self._checkpointer.wait_until_finished()
        if jax.process_index() != 0:
            return
        write_atomic(staged / _DESCRIPTION, description + "\n")
        write_manifest(staged)
        os.rename(staged, self._folder / str(step))
        self._verified.add(step)
        # Only now, when the new step is whole, may an old one go.
        for old in self._steps()[: -self._keep]:
            removed = self._folder / _STAGING / f"removed-{old}"
            os.rename(self._folder / str(old), removed)
            shutil.rmtree(removed)
            self._verified.discard(old)
