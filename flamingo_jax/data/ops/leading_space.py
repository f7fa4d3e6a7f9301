"""One space before the text of a pair, half of the time (paper, v2, B.1.2).

A SentencePiece token at the start of a text differs from the same word after a space; a model that
has seen both is not thrown off by a prompt's last character.
"""

from __future__ import annotations

import numpy as np


def add_leading_space(text: str, probability: float, random: np.random.Generator) -> str:
    """Puts one space before a text with a probability in [0, 1]."""
    return f" {text}" if random.random() < probability else text
