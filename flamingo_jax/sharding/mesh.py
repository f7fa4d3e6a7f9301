"""The device mesh of a run: devices in a grid of data parallelism by model parallelism."""

from __future__ import annotations

import jax
from jax.sharding import AxisType, Mesh

from flamingo_jax.core.errors import UserError
from flamingo_jax.sharding.logical import DATA, MODEL


def make_mesh(data: int, model: int) -> Mesh:
    """Arranges the first `data * model` devices in a mesh with the axes ("data", "model").

    Args:
      data: how many ways each batch is split.
      model: how many ways heads, feed-forward blocks and vocabulary are split.

    Returns:
      The mesh, its axes of type Auto: the compiler places the collectives (Haiku's layers do not
      work with explicit axes, the default of `jax.make_mesh`).

    Raises:
      UserError: a size below 1, or more devices asked for than there are.
    """
    if data < 1 or model < 1:
        raise UserError(f"mesh.data={data} and mesh.model={model} must both be at least 1")
    devices = jax.devices()
    if data * model > len(devices):
        raise UserError(
            f"mesh.data={data} times mesh.model={model} needs {data * model} devices, and there"
            f" are {len(devices)} ({devices[0].platform}); set the two to fit"
        )
    return jax.make_mesh(
        (data, model),
        (DATA, MODEL),
        axis_types=(AxisType.Auto, AxisType.Auto),
        devices=devices[: data * model],
    )
