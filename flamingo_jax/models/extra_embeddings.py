"""Embeddings of tokens that the frozen language model does not know, behind those that it does."""

from __future__ import annotations

import haiku as hk
import jax
import jax.numpy as jnp


class ExtraEmbeddings(hk.Module):
    """Rows that are learned although the language model is frozen: `<EOC>`."""

    def __init__(self, width: int, name: str) -> None:
        super().__init__(name=name)
        self.width = width

    def __call__(self) -> jax.Array:
        """The rows, float32 [1, D]."""
        init = hk.initializers.TruncatedNormal(self.width**-0.5)
        return hk.get_parameter("end_of_chunk", (1, self.width), init=init)


def look_up(text_BT: jax.Array, embedding_VD: jax.Array, extra_ED: jax.Array) -> jax.Array:
    """Rows of both tables, ids counting through them.

    Args:
        text_BT: token ids from 0 to V + E - 1.
        embedding_VD: rows of the tokens that the language model knows.
        extra_ED: those of the others.

    Returns:
        [B, T, D] in the dtype of the tables.
    """
    # Not one look-up in the tables joined: where the vocabulary is split over devices, V + E rows
    # could not be.
    V = embedding_VD.shape[0]
    known_BTD = embedding_VD[jnp.minimum(text_BT, V - 1)]
    extra_BTD = extra_ED[jnp.maximum(text_BT - V, 0)]
    return jnp.where((text_BT >= V)[..., None], extra_BTD, known_BTD)
