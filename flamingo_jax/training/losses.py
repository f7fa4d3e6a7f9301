"""Losses. Each returns a sum and a weight, so that parts of a batch add up exactly.

The mean loss of any set of batches is the sum of their sums over the sum of their weights.
Shape letters: B batch, T text, V vocab, D width of the language model, E joint width of the
contrastive embeddings, C chunks that the text is cut into, G groups of devices with examples of
their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from flamingo_jax.sharding.logical import BATCH, VOCABULARY, constrain, mesh_size


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


# Positions of a row whose logits exist at the same time in `next_token_loss_of_activations`.
CHUNK_LENGTH = 128


def next_token_loss_of_activations(
    x_BTD: jax.Array,
    embeddings: Sequence[jax.Array],
    text_BT: jax.Array,
    loss_weight_BT: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """`next_token_loss` of the products with an output embedding, which never exist all at once.

    Logits are by far the largest array of a small model's step ([B, T, V] in float32, and again for
    their gradient). Here a chunk of `CHUNK_LENGTH` positions of all rows is multiplied with the
    embedding, gives its part of the loss and of the gradients, and is forgotten. The gradients are
    computed on the way forward, because the one number that the backward pass brings is a factor.
    An embedding that is not differentiated (a frozen one) costs no gradient.

    Args:
        x_BTD: what the language model ends with, normalised.
        embeddings: parts [V_i, D] of the output embedding; ids count through them in order.
        text_BT: int32 [B, T], ids in [0, V).
        loss_weight_BT: float [B, T], 0 where a token is not to be predicted.

    Returns:
        (sum of weighted losses in nats, sum of weights), float32 scalars.
    """
    # The token to predict stands one position further; the last position predicts nothing.
    target_BT = jnp.roll(text_BT, -1, axis=1)
    weight_BT = jnp.roll(loss_weight_BT.astype(jnp.float32), -1, axis=1).at[:, -1].set(0.0)
    chunks = -(-x_BTD.shape[1] // CHUNK_LENGTH)
    parts = [_cut(array, chunks) for array in (x_BTD, target_BT, weight_BT)]
    return _chunked_loss(parts[0], tuple(embeddings), *parts[1:]), jnp.sum(weight_BT)


def _cut(x_BT: jax.Array, chunks: int) -> jax.Array:
    """[B, T, ...] -> [C, B, T/C, ...], the text padded with zeros (of weight 0) to a multiple."""
    missing = -x_BT.shape[1] % chunks
    widths = ((0, 0), (0, missing)) + ((0, 0),) * (x_BT.ndim - 2)
    padded = jnp.pad(x_BT, widths)
    return jnp.moveaxis(padded.reshape(x_BT.shape[0], chunks, -1, *x_BT.shape[2:]), 1, 0)


@jax.custom_vjp
def _chunked_loss(
    x_CBTD: jax.Array,
    embeddings: tuple[jax.Array, ...],
    target_CBT: jax.Array,
    weight_CBT: jax.Array,
) -> jax.Array:
    """The sum of weighted losses."""

    def add(total: jax.Array, chunk: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        x_BTD, target_BT, weight_BT = chunk
        loss_BT, _ = _token_losses(_products(x_BTD, embeddings), target_BT)
        return total + jnp.sum(loss_BT * weight_BT), None

    return jax.lax.scan(add, jnp.float32(0), (x_CBTD, target_CBT, weight_CBT))[0]


def _products(x_BTD: jax.Array, embeddings: Sequence[jax.Array]) -> list[jax.Array]:
    """float32 logits [B, T, V_i] of every part of the embedding."""
    return [jnp.einsum("btd,vd->btv", x_BTD, rows).astype(jnp.float32) for rows in embeddings]


def _is_target(logits: Sequence[jax.Array], target_BT: jax.Array) -> list[jax.Array]:
    """Where the target stands among the logits of every part, boolean [B, T, V_i]."""
    ids, start = [], 0
    for part in logits:
        ids.append(jnp.arange(start, start + part.shape[-1]) == target_BT[..., None])
        start += part.shape[-1]
    return ids


def _token_losses(logits: Sequence[jax.Array], target_BT: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(loss of every token, log of the softmax's denominator), float32 [B, T] each."""
    highest_BT = jnp.max(jnp.stack([jnp.max(part, axis=-1) for part in logits]), axis=0)
    total_BT = sum(jnp.sum(jnp.exp(part - highest_BT[..., None]), axis=-1) for part in logits)
    log_total_BT = highest_BT + jnp.log(total_BT)
    hits = _is_target(logits, target_BT)
    target_logit_BT = sum(
        jnp.sum(jnp.where(hit, part, 0.0), axis=-1) for hit, part in zip(hits, logits, strict=True)
    )
    return log_total_BT - target_logit_BT, log_total_BT


def _chunked_loss_forward(
    x_CBTD: Any, embeddings: tuple[Any, ...], target_CBT: Any, weight_CBT: Any
) -> tuple[jax.Array, tuple[Any, ...]]:
    """Loss and gradients; the arguments say whether they are differentiated (`perturbed`)."""
    rows = tuple(part.value for part in embeddings)
    # Each group of devices adds up what its examples say of the embedding, and the groups' sums are
    # added once, behind the last chunk, not [V, D] sent around for every chunk.
    batch_size = x_CBTD.value.shape[1]
    groups = mesh_size(BATCH) if batch_size % mesh_size(BATCH) == 0 else 1
    start = [_zeros_of_groups(groups, e.value.shape) if e.perturbed else None for e in embeddings]

    def add(sums: Any, chunk: tuple[jax.Array, ...]) -> tuple[Any, tuple[jax.Array, jax.Array]]:
        total, row_gradients = sums
        x_BTD, target_BT, weight_BT = chunk
        logits = _products(x_BTD, rows)
        loss_BT, log_total_BT = _token_losses(logits, target_BT)
        x_gradient = jnp.zeros_like(x_BTD)
        new_gradients = []
        hits = _is_target(logits, target_BT)
        for part, hit, e, old in zip(logits, hits, rows, row_gradients, strict=True):
            error = (jnp.exp(part - log_total_BT[..., None]) - hit) * weight_BT[..., None]
            error = error.astype(x_BTD.dtype)
            x_gradient += jnp.einsum("btv,vd->btd", error, e)
            if old is not None:
                terms = (a.reshape(groups, -1, *a.shape[1:]) for a in (error, x_BTD))
                old = old + jnp.einsum("gbtv,gbtd->gvd", *terms).astype(jnp.float32)
            new_gradients.append(old)
        total += jnp.sum(loss_BT * weight_BT)
        return (total, new_gradients), (x_gradient, loss_BT)

    chunks = (x_CBTD.value, target_CBT.value, weight_CBT.value)
    (loss, row_gradients), (x_gradient, loss_CBT) = jax.lax.scan(
        add, (jnp.float32(0), start), chunks
    )
    gradients = tuple(
        jnp.zeros_like(e) if gradient is None else jnp.sum(gradient, axis=0).astype(e.dtype)
        for e, gradient in zip(rows, row_gradients, strict=True)
    )
    return loss, (x_gradient, gradients, loss_CBT)


def _zeros_of_groups(groups: int, shape: tuple[int, ...]) -> jax.Array:
    """Zeros float32 [G, V_i, D], split like the examples and like the embedding's rows."""
    is_split = shape[0] % mesh_size(VOCABULARY) == 0
    axes = (BATCH, VOCABULARY if is_split else None, None)
    return constrain(jnp.zeros((groups, *shape), jnp.float32), axes)


def _chunked_loss_backward(residuals: tuple[Any, ...], factor: jax.Array) -> tuple[Any, ...]:
    """The gradients of the forward pass, times the one number that comes from above."""
    x_gradient, embedding_gradients, loss_CBT = residuals

    def scale(gradient: jax.Array) -> jax.Array:
        return (factor * gradient.astype(jnp.float32)).astype(gradient.dtype)

    scaled = tuple(scale(gradient) for gradient in embedding_gradients)
    return scale(x_gradient), scaled, None, factor * loss_CBT


_chunked_loss.defvjp(_chunked_loss_forward, _chunked_loss_backward, symbolic_zeros=True)


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
