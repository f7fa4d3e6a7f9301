"""Examples of one size: cut what is too long, pad what is too short."""

from __future__ import annotations

import numpy as np

from flamingo_jax.data import schema
from flamingo_jax.data.ops.interleave import Tokens


def cut(tokens: Tokens, max_text_length: int, max_images: int) -> Tokens:
    """The beginning of a document that has room.

    A document of too many pictures ends before the tag of the first one that has no place; its
    `<EOS>` is cut off with the rest, for it does not end there.
    """
    kept = int(np.searchsorted(tokens.chunk, max_images, side="right"))
    kept = min(kept, max_text_length)
    return Tokens(tokens.text[:kept], tokens.chunk[:kept])


def pad_row(row_T: np.ndarray, length: int) -> np.ndarray:
    """A row cut or padded with zeros (`schema.PAD_ID`) to a length, dtype kept: [length]."""
    padded = np.zeros(length, row_T.dtype)
    kept = row_T[:length]
    padded[: len(kept)] = kept
    return padded


def pad_media(media_IFHWC: np.ndarray, max_images: int) -> np.ndarray:
    """The first `max_images` pictures, black ones behind the last: [max_images, F, H, W, 3]."""
    media = np.zeros((max_images, *media_IFHWC.shape[1:]), media_IFHWC.dtype)
    kept = media_IFHWC[:max_images]
    media[: len(kept)] = kept
    return media


def loss_weight(text_T: np.ndarray) -> np.ndarray:
    """What is scored: every token but `<BOS>` and padding, tags and `<EOC>` included.

    This is the formula of the paper (v2, section 2.4), which sums over all text tokens; `<BOS>`
    alone has nothing in front to predict it from.

    Returns:
        float32 [T], the weight of predicting text[t] from what stands before it.
    """
    return ((text_T != schema.PAD_ID) & (text_T != schema.BOS_ID)).astype(np.float32)
