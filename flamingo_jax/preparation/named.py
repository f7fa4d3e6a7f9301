"""Things that arguments name: what there is, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from flamingo_jax.core.errors import UserError


def check_name(argument: str, name: str, known: Iterable[str]) -> None:
    """Checks that an argument names one of the things that there are.

    Args:
        argument: how it was given: "--source=pairs/x".
        name: what it names.
        known: what there is.

    Raises:
        UserError: there is no such thing; tells the nearest one, or all.
    """
    known = list(known)
    if name in known:
        return
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    expected = f"did you mean {nearest[0]!r}?" if nearest else f"expected {' or '.join(known)}"
    raise UserError(f"{argument} does not exist: {expected}")
