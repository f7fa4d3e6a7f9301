"""phi: which picture each token of a document may see (paper, v2, sections 2.3 and A.3.2)."""

from __future__ import annotations

import numpy as np


def media_index(
    chunk_T: np.ndarray, num_images: int, p_next: float, random: np.random.Generator
) -> np.ndarray:
    """Maps tokens to the picture before them or, drawn once for the page, to the next one.

    On web pages a picture may belong to the text before or behind it. Under "next", tokens of the
    last chunk have no picture to see; the paper does not say what becomes of them, here they see
    none.

    Args:
        chunk_T: int32 [T], the chunk of each token (see `interleave.Tokens`).
        num_images: pictures of the page; no chunk is larger.
        p_next: probability of "next": 0 always the picture before, 1 always the next.
        random: generator of the page.

    Returns:
        int32 [T]: 0 none, i the i-th picture.
    """
    if random.random() >= p_next:
        return chunk_T
    return np.where(chunk_T < num_images, chunk_T + 1, 0).astype(np.int32)
