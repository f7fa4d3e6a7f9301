"""Which text position sees which text and which picture."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def text_mask(
    position_BT: jax.Array, num_keys: int, segment_BT: jax.Array | None = None
) -> jax.Array:
    """The self-attention mask: a token sees itself and what stands before it in its document.

    Args:
        position_BT: int32 [B or 1, T], positions of the queries among the keys.
        num_keys: S; keys stand at positions 0 to S-1.
        segment_BT: int32, the document of each token of rows that hold several (`data.schema`);
            queries and keys are then the same T tokens. None: a row is one document.

    Returns:
        Boolean [B or 1, 1, T, S], True where attention may look. Every token sees itself.
    """
    mask = jnp.arange(num_keys) <= position_BT[:, None, :, None]
    if segment_BT is None:
        return mask
    return mask & (segment_BT[:, None, :, None] == segment_BT[:, None, None, :])


def media_mask(
    media_index_BT: jax.Array, num_media: int, num_latents: int, *, all_previous: bool = False
) -> jax.Array:
    """The cross-attention mask: a token sees the latents of picture phi and of no other.

    Args:
        media_index_BT: phi, int32; 0 sees nothing, i the i-th picture (paper, equation 2 and
            appendix A.1.3).
        num_media: I, pictures of an example.
        num_latents: R, latents of a picture.
        all_previous: whether it sees pictures 1 to phi instead (paper, ablation "attending to all
            previous images").

    Returns:
        Boolean [B, 1, T, I*R], True where attention may look.
    """
    owner_M = jnp.repeat(jnp.arange(1, num_media + 1), num_latents)
    index = media_index_BT[:, None, :, None]
    return index >= owner_M if all_previous else index == owner_M
