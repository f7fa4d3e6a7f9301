"""Stacks of layers, as one loop over stacked arrays or written out over arrays of their own.

A loop slices the parameters of a layer out of the stack. Where that is a copy (XLA on CPU),
decoding one token at a time spends most of its time on it: there the layers' parameters are taken
apart once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import haiku as hk
import jax
import numpy as np

from flamingo_jax.core.paths import flatten, unflatten

Params = Mapping[str, Mapping[str, jax.Array]]


def run_layers(
    function: Callable[..., tuple[Any, Any]],
    name: str,
    num_layers: int,
    unroll: int,
    *,
    apart: bool,
) -> Callable[..., tuple[Any, Any]]:
    """Runs layers one after the other, within `hk.transform`.

    Args:
        function: (x, *inputs of the layer) -> (x, output of the layer); makes the layer's modules.
        name: of the stack.
        num_layers: L.
        unroll: the largest stack that is written out although its parameters are stacked.
        apart: whether every layer has parameters of its own, see `take_apart`.

    Returns:
        (x, *inputs) -> (x, outputs). Inputs and outputs are stacked, [L, ...]; of layers apart
        they are tuples of L.
    """
    if not apart:
        loop = hk.layer_stack(
            num_layers,
            with_per_layer_inputs=True,
            unroll=num_layers if num_layers <= unroll else 1,
            name=name,
        )
        run_loop: Callable[..., tuple[Any, Any]] = loop(function)
        return run_loop

    def run(x: Any, *inputs: Any) -> tuple[Any, Any]:
        outputs = []
        for layer in range(num_layers):
            with hk.name_scope(_apart(name, layer)):
                x, output = function(x, *(value[layer] for value in inputs))
            outputs.append(output)
        return x, tuple(outputs)

    return run


def take_apart(
    params: Params, outer: Collection[str], inner: str
) -> dict[str, dict[str, jax.Array]]:
    """Gives every layer parameters of its own.

    On one CPU device they are views: nothing is copied, and the stacks stay in memory.

    Args:
        params: with stacks; concrete arrays.
        outer: names of the stacks; what is in them has one leading axis.
        inner: name of the stacks in those; what is in them has a second one.

    Returns:
        The parameters for `run_layers(..., apart=True)`.
    """
    leaves: dict[str, jax.Array] = {}
    for path, leaf in flatten(params).items():
        stack, *rest = path.split("/")
        if stack not in outer:
            leaves[path] = leaf
            continue
        for first in range(leaf.shape[0]):
            parts = [_apart(stack, first)]
            if rest[0] != inner:
                leaves["/".join([*parts, *rest])] = _layer(leaf, first)
                continue
            for second in range(leaf.shape[1]):
                path = "/".join([*parts, _apart(inner, second), *rest[1:]])
                leaves[path] = _layer(leaf, first, second)
    return unflatten(leaves)


def _apart(name: str, layer: int) -> str:
    return f"{name}_{layer}"


def _layer(leaf: jax.Array, *index: int) -> jax.Array:
    """One layer's part of a stacked array, without a copy where possible."""
    device, *others = leaf.devices()
    if others or device.platform != "cpu":
        return leaf[index]
    return jax.device_put(np.asarray(leaf)[index], device, may_alias=True)
