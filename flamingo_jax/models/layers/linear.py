"""Linear layers that multiply two matrices, whatever the rank of their input."""

from __future__ import annotations

import haiku as hk
import jax
import jax.numpy as jnp

PANELS = "panels_{}"
"""Names, by number, of the parameters that hold `w` a second time, as `in_panels` lays it out."""

_PANEL_WIDTH = 64
"""Columns that YNNPACK takes as they are with AVX-512. Twice as many are half as fast."""

_PARTS = 4
"""Products that a large matrix is cut into: threads share them, but not the panels of one. Two
were no faster than one."""

_SMALLEST_PART = 2**18
"""Numbers of a matrix that make a part of their own worth while: 1 MB."""

_FEW_ROWS = 24
"""Rows of a product up to which panels are faster: by about 15 % at 24, 2.2 times at 4."""


class Linear(hk.Module):
    """`x @ w + b` over the last axis, with all leading axes collapsed to one.

    XLA:CPU computes the weight gradient of a product of rank above two about 1.5 times slower than
    that of a plain matrix product, so the reshape is worth its line.

    If the parameters have `w` in panels as well, products of few rows are made with those.

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
        rows = jnp.reshape(x, (-1, input_size))
        panels = self._panels() if is_few(rows) else []
        if panels:
            parts = [_multiply_panels(rows, part.astype(x.dtype)) for part in panels]
            y = jnp.concatenate(parts, axis=-1)[:, : self.output_size]
        else:
            w_init = self.w_init or hk.initializers.TruncatedNormal(input_size**-0.5)
            w = hk.get_parameter("w", (input_size, self.output_size), init=w_init)
            y = rows @ w.astype(x.dtype)
        if self.with_bias:
            b = hk.get_parameter("b", (self.output_size,), init=jnp.zeros)
            y = y + b.astype(x.dtype)
        return jnp.reshape(y, (*x.shape[:-1], self.output_size))

    def _panels(self) -> list[jax.Array]:
        """The parts of `w` in panels; none if the parameters do not have them."""
        params = self.params_dict()
        names = [f"{self.module_name}/{PANELS.format(part)}" for part in range(_PARTS)]
        return [params[name] for name in names if name in params]


def is_few(x: jax.Array) -> bool:
    """Whether a product with `x` [..., D] is made with panels, if there are any."""
    return x.size <= _FEW_ROWS * x.shape[-1]


def in_panels(w: jax.Array) -> dict[str, jax.Array]:
    """Lays matrices out for products of few rows.

    Each panel is what one call of the library's kernel multiplies with. It takes panels as they
    are, while it copies a whole matrix into such panels for every product, which for few rows is
    most of the time. Zeros fill the last panel up.

    Args:
        w: [..., D, columns].

    Returns:
        {name: [..., P, D, columns of a panel]}, the parts of large matrices in order, see `PANELS`.
    """
    *leading, D, num_columns = w.shape
    padded = jnp.pad(w, [(0, 0)] * (w.ndim - 1) + [(0, -num_columns % _PANEL_WIDTH)])
    num_panels = padded.shape[-1] // _PANEL_WIDTH
    by_panel = jnp.reshape(padded, (*leading, D, num_panels, _PANEL_WIDTH))
    panels = jnp.moveaxis(by_panel, -2, -3)
    is_large = num_panels >= _PARTS and D * num_columns >= _PARTS * _SMALLEST_PART
    parts = jnp.array_split(panels, _PARTS if is_large else 1, axis=-3)
    return {PANELS.format(number): part for number, part in enumerate(parts)}


def _multiply_panels(x_RD: jax.Array, panels_PDC: jax.Array) -> jax.Array:
    """Products with the columns of all panels: [R, D] and [P, D, C] -> [R, P*C]."""
    # Rows are repeated, so that panels are a batch: as `rd,pdc->rpc`, the panels would be joined
    # to one matrix first.
    x_PRD = jnp.broadcast_to(x_RD, (len(panels_PDC), *x_RD.shape))
    y_PRC = jnp.matmul(x_PRD, panels_PDC)
    return jnp.reshape(jnp.swapaxes(y_PRC, 0, 1), (len(x_RD), -1))
