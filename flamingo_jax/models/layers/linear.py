"""Linear layers that multiply two matrices, whatever the rank of their input."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import haiku as hk
import jax
import jax.numpy as jnp

PANELS = "panels_{}"
"""Names, by number, of the parameters that hold `w` a second time, as `in_panels` lays it out."""

_PANEL_WIDTH = 32
"""Columns of a panel. The library's kernel takes 16, 32 and 64 as they are, other numbers not."""

_PARTS = 16
"""Parts of a matrix, at least, each a product of its own. The panels of one product go to one
thread, and XLA's executor hands work to another thread only where more than 8 operations are ready:
8 parts all run on one thread (`kSplitThreshold` in XLA's `backends/cpu/runtime/thunk.h`)."""

_LARGEST_PART = 32
"""Panels of a part, at most: of more parts, those of a vocabulary, threads get more even shares."""

_FEWEST_PARTS = 9
"""Parts that a matrix must have, or it is left whole."""

_SMALLEST_MATRIX = 2**18
"""Numbers of a matrix from which panels are worth while: 1 MB."""

_FEW_ROWS = 32
"""Rows of a product up to which panels are faster: twice at 4, by a tenth at 32."""


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
            y = _multiply_panels(rows, [part.astype(x.dtype) for part in panels])
            y = y[:, : self.output_size]
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
        names = (f"{self.module_name}/{PANELS.format(part)}" for part in itertools.count())
        return [params[name] for name in itertools.takewhile(params.__contains__, names)]


def is_few(x: jax.Array) -> bool:
    """Whether a product with `x` [..., D] is made with panels, if there are any."""
    return x.size <= _FEW_ROWS * x.shape[-1]


def in_panels(w: jax.Array) -> dict[str, jax.Array]:
    """Lays matrices out for products of few rows.

    Each panel is what one call of the library's kernel multiplies with. It takes panels as they
    are, while it copies a whole matrix into such panels for every product, which for few rows is
    most of the time. Zeros fill the last panels up.

    Args:
        w: [..., D, columns].

    Returns:
        {name: [..., P, D, columns of a panel]}, parts of equal size in order, see `PANELS`; none
        for a small matrix, which would be slower so.
    """
    *leading, D, num_columns = w.shape
    num_panels = -(-num_columns // _PANEL_WIDTH)
    if num_panels < _FEWEST_PARTS or D * num_columns < _SMALLEST_MATRIX:
        return {}
    size = min(max(1, num_panels // _PARTS), _LARGEST_PART)
    num_parts = -(-num_panels // size)
    padding = num_parts * size * _PANEL_WIDTH - num_columns
    padded = jnp.pad(w, [(0, 0)] * (w.ndim - 1) + [(0, padding)])
    by_panel = jnp.reshape(padded, (*leading, D, -1, _PANEL_WIDTH))
    # Parts of equal size share the repeated rows, so that all are ready at once.
    parts = jnp.split(jnp.moveaxis(by_panel, -2, -3), num_parts, axis=-3)
    return {PANELS.format(number): part for number, part in enumerate(parts)}


def _multiply_panels(x_RD: jax.Array, parts: Sequence[jax.Array]) -> jax.Array:
    """Products with the columns of all panels, parts of [P, D, C]: [R, D] -> [R, all columns]."""
    # Rows are repeated, so that panels are a batch: as `rd,pdc->rpc`, the panels would be joined
    # to one matrix first.
    x_PRD = jnp.broadcast_to(x_RD, (len(parts[0]), *x_RD.shape))
    y_PRCs = [jnp.matmul(x_PRD, panels_PDC) for panels_PDC in parts]
    # Part by part, which all threads share, and not the whole at once, which only one would do.
    columns = [jnp.reshape(jnp.swapaxes(y_PRC, 0, 1), (len(x_RD), -1)) for y_PRC in y_PRCs]
    return jnp.concatenate(columns, axis=1)
