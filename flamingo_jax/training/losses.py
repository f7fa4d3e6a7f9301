"""Losses. Each returns a sum and a weight, so that parts of a batch add up exactly.

The mean loss of any set of batches is the sum of their sums over the sum of their weights.
Shape letters: B batch, T text, V vocab, E joint width of the contrastive embeddings.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def next_token_loss(
    logits_BTV: jax.Array, text_BT: jax.Array, loss_weight_BT: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Cross-entropy of every token given what stands before it (paper, section 2.4).

    The logits at position t predict `text[t + 1]`, with weight `loss_weight[t + 1]`; the logits at
    the last position and the weight of the first token are not used.

    Args:
        logits_BTV: [B, T, V] of any floating dtype; the softmax is float32.
        text_BT: int32 [B, T], ids in [0, V).
        loss_weight_BT: float [B, T], 0 where a token is not to be predicted.

    Returns:
        (sum of weighted losses in nats, sum of weights), float32 scalars.
    """
    logits = logits_BTV[:, :-1].astype(jnp.float32)
    weight = loss_weight_BT[:, 1:].astype(jnp.float32)
    # A masked sum, not a gather: its gradient is no scatter, and a vocabulary that is split over
    # devices needs one sum of scalars.
    is_target = jnp.arange(logits.shape[-1]) == text_BT[:, 1:, None]
    log_probability = jnp.sum(jnp.where(is_target, jax.nn.log_softmax(logits), 0.0), axis=-1)
    return -jnp.sum(log_probability * weight), jnp.sum(weight)


def contrastive_loss(
    image_BE: jax.Array,
    text_BE: jax.Array,
    inverse_temperature: jax.Array | float,
    label_smoothing: float = 0.0,
) -> tuple[jax.Array, jax.Array]:
    """Softmax cross-entropy of image to text plus that of text to image (paper, appendix B.1.3).

    Row i of the one belongs to row i of the other; all other rows of the batch are negatives. The
    batch is the global one when the arrays are sharded under one `jax.jit`.

    Args:
        image_BE: [B, E] unit embeddings.
        text_BE: [B, E] unit embeddings.
        inverse_temperature: scalar beta > 0 that multiplies the inner products.
        label_smoothing: s in [0, 1): the target is 1 - s + s/B on the pair and s/B elsewhere
            (paper: 0.1).

    Returns:
        (sum over the B pairs of both directions' losses in nats, B), float32 scalars.
    """
    image_BE, text_BE = image_BE.astype(jnp.float32), text_BE.astype(jnp.float32)
    logits_BB = inverse_temperature * (image_BE @ text_BE.T)

    def direction(logits: jax.Array) -> jax.Array:
        log_probability_BB = jax.nn.log_softmax(logits, axis=1)
        pair = jnp.trace(log_probability_BB)
        uniform = jnp.sum(jnp.mean(log_probability_BB, axis=1))
        return -(1 - label_smoothing) * pair - label_smoothing * uniform

    return direction(logits_BB) + direction(logits_BB.T), jnp.float32(logits_BB.shape[0])


def contrastive_correct(
    image_BE: jax.Array, text_BE: jax.Array
) -> tuple[dict[str, jax.Array], jax.Array]:
    """How many rows find their partner first among the batch, as sums.

    Args:
        image_BE: [B, E] unit embeddings.
        text_BE: [B, E] unit embeddings; row i belongs to row i of the images.

    Returns:
        ({"image_to_text": count, "text_to_image": count}, B), float32 scalars. A tie counts as
        found, so that equal captions of two images do not count against the model.
    """
    similarity_BB = image_BE.astype(jnp.float32) @ text_BE.astype(jnp.float32).T
    pair_B = jnp.diagonal(similarity_BB)
    correct = {
        "image_to_text": jnp.sum((pair_B >= jnp.max(similarity_BB, axis=1)).astype(jnp.float32)),
        "text_to_image": jnp.sum((pair_B >= jnp.max(similarity_BB, axis=0)).astype(jnp.float32)),
    }
    return correct, jnp.float32(similarity_BB.shape[0])
