"""Prompts as arrays of few shapes: every shape is compiled once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from flamingo_jax.data import schema
from flamingo_jax.dialogue.prompt import DialoguePrompt

_FEWEST_TOKENS = 64


class PaddedPrompt(NamedTuple):
    """One prompt, padded on the right: the arguments of `FlamingoFunctions.prefill`.

    Attributes:
        text: int32 [1, T], T 64 times a power of two.
        length: int32 [1], real tokens.
        media_index: int32 [1, T].
        latents: float [1, I, R, D], I a power of four; zeros behind the last picture.
    """

    text: np.ndarray
    length: np.ndarray
    media_index: np.ndarray
    latents: np.ndarray


def pad_prompt(prompt: DialoguePrompt, latents_shape: tuple[int, int]) -> PaddedPrompt:
    """Pads a prompt.

    Args:
        prompt: any.
        latents_shape: (R, D), of a picture's visual tokens.
    """
    length, num_pictures = len(prompt.text), len(prompt.pictures)
    T, I = _FEWEST_TOKENS, 1
    while length > T:
        T *= 2
    while num_pictures > I:
        I *= 4
    text_1T = np.full((1, T), schema.PAD_ID, np.int32)
    media_index_1T = np.zeros((1, T), np.int32)
    latents_1IRD = np.zeros((1, I, *latents_shape), np.float32)
    text_1T[0, :length] = prompt.text
    media_index_1T[0, :length] = prompt.media_index
    for number, picture in enumerate(prompt.pictures):
        latents_1IRD[0, number] = picture.latents
    return PaddedPrompt(text_1T, np.array([length], np.int32), media_index_1T, latents_1IRD)
