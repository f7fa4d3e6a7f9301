"""The mesh over 8 host devices."""

from __future__ import annotations

import jax
import pytest

from flamingo_jax.core.errors import UserError
from flamingo_jax.sharding.mesh import make_mesh


@pytest.mark.parametrize(("data", "model"), [(1, 1), (8, 1), (4, 2), (1, 8), (2, 2)])
def test_mesh_has_the_asked_for_shape(data: int, model: int) -> None:
    mesh = make_mesh(data, model)
    assert dict(mesh.shape) == {"data": data, "model": model}
    assert mesh.axis_names == ("data", "model")
    assert all(kind == jax.sharding.AxisType.Auto for kind in mesh.axis_types)
    assert len(set(mesh.devices.flat)) == data * model


def test_too_many_devices_and_sizes_below_one_are_user_errors() -> None:
    count = len(jax.devices())
    with pytest.raises(UserError, match=f"needs {2 * count} devices, and there are {count}"):
        make_mesh(count, 2)
    with pytest.raises(UserError, match="at least 1"):
        make_mesh(0, 1)
