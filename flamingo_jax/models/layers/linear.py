"""Linear layers that multiply two matrices, whatever the rank of their input."""

from __future__ import annotations

import haiku as hk
import jax
import jax.numpy as jnp


class Linear(hk.Module):
    """`x @ w + b` over the last axis, with all leading axes collapsed to one.

    XLA:CPU computes the weight gradient of a product of rank above two about 1.5 times slower than
    that of a plain matrix product, so the reshape is worth its line.

    Attributes:
        output_size: width of the result.
        with_bias: whether there is a bias `b`, initialised to 0.
        w_init: initialiser of `w`; None is Haiku's default, a truncated normal of standard
            deviation 1/sqrt(fan in).
    """

    def __init__(
        self,
        output_size: int,
        *,
        with_bias: bool = True,
        w_init: hk.initializers.Initializer | None = None,
        name: str,
    ) -> None:
        super().__init__(name=name)
        self.output_size = output_size
        self.with_bias = with_bias
        self.w_init = w_init

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [..., D] to [..., output_size] in the dtype of `x`."""
        input_size = x.shape[-1]
        w_init = self.w_init or hk.initializers.TruncatedNormal(input_size**-0.5)
        w = hk.get_parameter("w", (input_size, self.output_size), init=w_init)
        y = jnp.reshape(x, (-1, input_size)) @ w.astype(x.dtype)
        if self.with_bias:
            b = hk.get_parameter("b", (self.output_size,), init=jnp.zeros)
            y = y + b.astype(x.dtype)
        return jnp.reshape(y, (*x.shape[:-1], self.output_size))
