"""Adaptive gradient clipping (AGC): the gradient of every unit bounded by the unit's own norm.

Brock et al. 2021, section 4; deepmind-research `nfnets/agc_optax.py`. Flamingo uses it on the NFNet
of the contrastive stage with lambda = 1e-2 (appendix B.1.3).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

_MIN_GRADIENT_NORM = 1e-6


def unit_norm(x: jax.Array, layer_axes: int = 0) -> jax.Array:
    """Norm of each unit of a parameter, in float32, in a shape that broadcasts against `x`.

    The units of a matrix [in, out] or of a convolution kernel [kh, kw, in, out] are its outputs;
    a vector (bias, gain) or scalar is one unit. What counts is the shape without the layer axes,
    so a stacked parameter has the norms that its layers have apart.

    Args:
        x: a parameter or its gradient.
        layer_axes: how many leading axes count layers (`hk.layer_stack`).

    Returns:
        float32, with axes of length 1 where the norm was taken.

    Raises:
        ValueError: more than four axes besides the layers'.
    """
    shape = x.shape[layer_axes:]
    rank = len(shape)
    if sum(size != 1 for size in shape) <= 1:
        axes = range(rank)
    elif rank in (2, 3):
        axes = range(1)
    elif rank == 4:
        axes = range(3)
    else:
        raise ValueError(f"shape {x.shape} with {layer_axes} layer axes is no known parameter")
    squares = jnp.square(x.astype(jnp.float32))
    return jnp.sqrt(jnp.sum(squares, axis=tuple(layer_axes + axis for axis in axes), keepdims=True))


def no_layer_axes(path: str) -> int:
    """0 for every path: nothing is stacked."""
    del path
    return 0


def adaptive_gradient_clipping(
    clip: float, *, layer_axes: Callable[[str], int] = no_layer_axes, epsilon: float = 1e-3
) -> optax.GradientTransformation:
    """Scales every unit's gradient down to at most `clip` times the unit's norm.

    Args:
        clip: lambda, the largest allowed ratio of a gradient's norm to its parameter's.
        layer_axes: path ("module/name") -> number of leading axes of that parameter that count
            layers of a stack; for the NFNet `models.vision.nfnet.layer_axes`. Without it a stack of
            vectors would pass for a matrix, and its units would mix layers.
        epsilon: floor of the parameter's norm, so that parameters that start at 0 can move.

    Returns:
        A stateless transformation for two-level parameter dicts; `update` needs the parameters.
        Gradients keep their dtypes. Use `optax.masked` to confine it to some paths.
    """

    def update(
        updates: optax.Updates, state: optax.EmptyState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.EmptyState]:
        if params is None:
            raise ValueError(
                "adaptive gradient clipping needs the parameters: update(g, s, params)"
            )

        def clip_leaf(
            keys: tuple[jax.tree_util.DictKey, ...], gradient: jax.Array, parameter: jax.Array
        ) -> jax.Array:
            axes = layer_axes("/".join(key.key for key in keys))
            gradient_norm = unit_norm(gradient, axes)
            largest = clip * jnp.maximum(unit_norm(parameter, axes), epsilon)
            scale = largest / jnp.maximum(gradient_norm, _MIN_GRADIENT_NORM)
            clipped = (gradient.astype(jnp.float32) * scale).astype(gradient.dtype)
            return jnp.where(gradient_norm < largest, gradient, clipped)

        return jax.tree_util.tree_map_with_path(clip_leaf, updates, params), state

    return optax.GradientTransformation(optax.init_empty_state, update)
