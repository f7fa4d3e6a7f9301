"""How much the last token of a prompt attends to each picture, and to the text that is about it.

Layers that are watched tell their weights, a mean over their heads; here the weights of all layers
become masses by picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from flamingo_jax.models.cache import GroupCache


class Look(NamedTuple):
    """What a cross-attention layer does to one token of each row.

    Attributes:
        weights: float32 [..., B, M], on the visual tokens, mean over heads.
        change: float32 [..., B], the length of what the pictures add (behind the gate), relative to
            that of the activations which it is added to.
    """

    weights: jax.Array
    change: jax.Array


class AttentionMasses(NamedTuple):
    """Means over all layers and heads, float32; I pictures.

    Attributes:
        pictures: [B, I], of cross-attention on each picture's visual tokens. They add up to 1.
        change: [B], mean of `Look.change`.
        text: [B, I+1], of self-attention on the text in front of the first picture, and on the
            text of each picture (its tag, and what follows up to the next one). They add up to 1.
    """

    pictures: jax.Array
    change: jax.Array
    text: jax.Array


def mean_over_heads(weights: Sequence[jax.Array]) -> jax.Array:
    """Weights [B, N, 1, S] of one token on the keys of several arrays: [B, all S]."""
    return jnp.mean(jnp.concatenate(weights, axis=-1)[:, :, 0], axis=1)


def look(weights_BNTM: jax.Array, added_BTD: jax.Array, x_BTD: jax.Array) -> Look:
    """What a cross-attention layer does to one token, T = 1.

    Args:
        weights_BNTM: of its attention.
        added_BTD: what the pictures add.
        x_BTD: to which it is added.
    """
    added, before = (
        jnp.linalg.norm(array[:, 0].astype(jnp.float32), axis=-1) for array in (added_BTD, x_BTD)
    )
    tiny = jnp.finfo(jnp.float32).tiny
    return Look(mean_over_heads([weights_BNTM]), added / jnp.maximum(before, tiny))


def attention_masses(
    groups: Any, key_phi_BS: jax.Array, phi_B: jax.Array, num_media: int, *, sees_all: bool
) -> AttentionMasses:
    """Masses by picture out of the weights of all layers.

    Args:
        groups: a tree of `GroupCache` of watched layers: `text` is a tree of float32 [..., B, S],
            `media` a `Look` or None.
        key_phi_BS: int32, the picture that each key of self-attention belongs to; 0 for text in
            front of the first.
        phi_B: int32, the picture that the token belongs to.
        num_media: I.
        sees_all: whether the visual tokens in `groups` are those of all pictures, not those of
            picture phi alone.
    """
    nodes = jax.tree.leaves(groups, is_leaf=lambda node: isinstance(node, GroupCache))
    texts = jax.tree.leaves([node.text for node in nodes])
    looks = [node.media for node in nodes if node.media is not None]
    media_BM = _mean_over_layers([layer.weights for layer in looks], 2)
    if sees_all:
        pictures_BI = jnp.sum(media_BM.reshape(len(media_BM), num_media, -1), axis=-1)
    else:
        own_BI = jax.nn.one_hot(phi_B - 1, num_media)  # of picture 0, none
        pictures_BI = own_BI * jnp.sum(media_BM, axis=-1, keepdims=True)
    owner_BSI = jax.nn.one_hot(key_phi_BS, num_media + 1)
    return AttentionMasses(
        pictures=pictures_BI,
        change=_mean_over_layers([layer.change for layer in looks], 1),
        text=jnp.einsum("bs,bsi->bi", _mean_over_layers(texts, 2), owner_BSI),
    )


def _mean_over_layers(parts: Sequence[jax.Array], num_axes: int) -> jax.Array:
    """The mean over all leading axes of all parts together; the last `num_axes` stay."""
    rows = [jnp.reshape(part, (-1, *part.shape[part.ndim - num_axes :])) for part in parts]
    return jnp.mean(jnp.concatenate(rows), axis=0)
