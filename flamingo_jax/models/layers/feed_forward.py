"""The feed-forward block: hidden width 4D, GeLU or squared ReLU."""

from __future__ import annotations

from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from flamingo_jax.models.layers.linear import Linear

WIDENING = 4


def squared_relu(x: jax.Array) -> jax.Array:
    """`max(x, 0)^2` (So et al. 2021), the activation of all layers that Flamingo adds."""
    return jnp.square(jax.nn.relu(x))


class FeedForward(hk.Module):
    """Two linear layers around an activation; norm and residual are the caller's."""

    def __init__(
        self, *, activation: Callable[[jax.Array], jax.Array], with_bias: bool, name: str
    ) -> None:
        super().__init__(name=name)
        self.activation = activation
        self.with_bias = with_bias

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [..., D] to [..., D]."""
        width = x.shape[-1]
        hidden = Linear(WIDENING * width, with_bias=self.with_bias, name="hidden")(x)
        return Linear(width, with_bias=self.with_bias, name="output")(self.activation(hidden))
