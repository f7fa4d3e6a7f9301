"""Stacks of layers, as one loop over stacked arrays or written out over arrays of their own.

A loop slices the parameters of a layer out of the stack. Where that is a copy (XLA on CPU),
decoding one token at a time spends most of its time on it, and a training step keeps the copies
until its backward pass: there the layers' parameters are taken apart once. For decoding, matrices
are then laid out a second time, for products of few rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from flamingo_jax.core.paths import flatten, unflatten
from flamingo_jax.models.layers.linear import in_panels

Params = Mapping[str, Mapping[str, jax.Array]]

_OF_PROMPTS_ALONE = ("relative_position", "cross_attention/key", "cross_attention/value")
"""Linear layers that a token of an answer does not go through; their ends of paths."""


def run_layers(
    function: Callable[..., tuple[Any, Any]],
    name: str,
    num_layers: int,
    *,
    apart: bool,
) -> Callable[..., tuple[Any, Any]]:
    """Runs layers one after the other, within `hk.transform`.

    Args:
        function: (x, *inputs of the layer) -> (x, output of the layer); makes the layer's modules.
        name: of the stack.
        num_layers: L.
        apart: whether every layer has parameters of its own, see `Stacks`.

    Returns:
        (x, *inputs) -> (x, outputs). Inputs and outputs are stacked, [L, ...]; of layers apart
        they are tuples of L.
    """
    if not apart:
        loop = hk.layer_stack(num_layers, with_per_layer_inputs=True, name=name)
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


class Stacks(NamedTuple):
    """Which parameters of a model are stacked, and the way from there to layers apart and back.

    Attributes:
        outer: modules that are stacks; what is in them has one leading axis.
        inner: name of the stacks in those; what is in them has a second one.
    """

    outer: tuple[str, ...]
    inner: str

    def take_apart(self, params: Params, *, copy: bool = False) -> dict[str, dict[str, jax.Array]]:
        """Gives every layer parameters of its own, in modules `<stack>_<number>`.

        Args:
            params: with stacks; concrete arrays.
            copy: whether the layers have memory of their own. Else they are views where that is
                possible (on one CPU device); views can't be given away to a jitted function.

        Returns:
            The parameters for `run_layers(..., apart=True)`.
        """
        leaves: dict[str, jax.Array] = {}
        for path, leaf in flatten(params).items():
            for place, index in self._places(path, leaf.shape):
                leaves[place] = _layer(leaf, index, copy=copy) if index else leaf
        return unflatten(leaves)

    def put_together(self, params: Params) -> dict[str, dict[str, jax.Array]]:
        """The inverse of `take_apart`; may be traced."""
        layers: dict[str, dict[tuple[int, ...], jax.Array]] = {}
        for path, leaf in flatten(params).items():
            together, index = self._together(path)
            layers.setdefault(together, {})[index] = leaf
        return unflatten({path: _stack(by_index) for path, by_index in layers.items()})

    def path_together(self, path: str) -> str:
        """The path of a stacked parameter, from that of a layer of it; other paths as they are."""
        return self._together(path)[0]

    def _places(self, path: str, shape: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The layers' paths of a parameter, and their indices in it."""
        stack = next((name for name in self.outer if path.startswith(f"{name}/")), None)
        if stack is None:
            yield path, ()
            return
        rest = path.removeprefix(f"{stack}/")
        for first in range(shape[0]):
            place = _apart(stack, first)
            if not rest.startswith(f"{self.inner}/"):
                yield f"{place}/{rest}", (first,)
                continue
            for second in range(shape[1]):
                inside = rest.removeprefix(self.inner)
                yield f"{place}/{_apart(self.inner, second)}{inside}", (first, second)

    def _together(self, path: str) -> tuple[str, tuple[int, ...]]:
        """The stacked parameter's path, and the index of the layer in it."""
        for name in self.outer:
            found = re.match(rf"{name}_(\d+)(?:/{self.inner}_(\d+))?(?=/)", path)
            if found:
                index = tuple(int(number) for number in found.groups() if number is not None)
                inside = f"/{self.inner}" if len(index) > 1 else ""
                return f"{name}{inside}{path[found.end() :]}", index
        return path, ()


def with_panels(params: Params, stacks: Collection[str]) -> dict[str, dict[str, jax.Array]]:
    """Parameters with the panels (`Linear`) of the matrices that tokens of answers go through.

    Args:
        params: with stacks.
        stacks: names of those that the tokens go through.
    """
    leaves = flatten(params)
    panels: dict[str, jax.Array] = {}
    for path, leaf in leaves.items():
        module, _, name = path.rpartition("/")
        is_in_stack = path.split("/")[0] in stacks
        if is_in_stack and name == "w" and not module.endswith(_OF_PROMPTS_ALONE):
            panels |= {f"{module}/{part}": panel for part, panel in in_panels(leaf).items()}
    return unflatten({**leaves, **panels})


def _apart(name: str, layer: int) -> str:
    return f"{name}_{layer}"


def _layer(leaf: jax.Array, index: tuple[int, ...], *, copy: bool) -> jax.Array:
    """One layer's part of a stacked array, without a copy where possible, unless one is wanted."""
    device, *others = leaf.devices()
    if others or device.platform != "cpu":
        return leaf[index]
    layer = np.asarray(leaf)[index]
    if copy:
        return jnp.array(layer, device=device)
    return jax.device_put(layer, device, may_alias=True)


def _stack(layers: Mapping[tuple[int, ...], jax.Array]) -> jax.Array:
    """Layers by their index in the stack; one that stands alone has none."""
    if () in layers:
        return layers[()]
    axes = [max(numbers) + 1 for numbers in zip(*layers, strict=True)]
    stacked = jnp.stack([layers[index] for index in np.ndindex(*axes)])
    return jnp.reshape(stacked, (*axes, *stacked.shape[1:]))
