"""Which tokens have a loss: a choice that the paper leaves open (docs/fidelity.md)."""

from __future__ import annotations

import numpy as np

from flamingo_jax.data import schema
from flamingo_jax.data.ops import pad
from flamingo_jax.data.ops.interleave import Tokens

ALL, AFTER_FIRST_IMAGE, TEXT_OF_IMAGES = "all", "after_first_image", "text_of_images"


def loss_weight(tokens: Tokens, scored: str, tag_length: int, length: int) -> np.ndarray:
    """The weight of predicting text[t] from what stands before it.

    Args:
        tokens: of the document; chunks as they stand in it, whichever picture a token sees.
        scored: "all" scores every token but `<BOS>`, tags and `<EOC>` included: the formula of the
            paper (v2, section 2.4). "after_first_image" leaves out what stands before the first
            tag. "text_of_images" leaves out all tags too, as OpenFlamingo does: the text of every
            picture and the `<EOC>` and `<EOS>` behind it.
        tag_length: tokens of an image tag.
        length: T.

    Returns:
        float32 [T], 0 or 1.

    Raises:
        ValueError: `scored` is none of these.
    """
    if scored not in (ALL, AFTER_FIRST_IMAGE, TEXT_OF_IMAGES):
        raise ValueError(f"scored is {scored!r}")
    text_T = pad.pad_row(tokens.text, length)
    weight_T = (text_T != schema.PAD_ID) & (text_T != schema.BOS_ID)
    chunk_T = pad.pad_row(tokens.chunk, length)
    if scored != ALL:
        weight_T &= chunk_T > 0
    if scored == TEXT_OF_IMAGES:
        for start in 1 + np.flatnonzero(np.diff(tokens.chunk) > 0):
            weight_T[start : start + tag_length] = False
    return weight_T.astype(np.float32)
