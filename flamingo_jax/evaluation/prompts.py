"""Prompts: shots and query as tokens, with phi; batches of few shapes (paper, section 4.2).

`<BOS><image>Output: a red seven on black<EOC><image>Output: two blue ones on grey<EOC><image>
Output:`, and with 0 shots two text-only examples without picture and tag:
`<BOS>Output: a red seven on black<EOC>Output: two blue ones on grey<EOC><image>Output:`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from flamingo_jax.data import schema
from flamingo_jax.data.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prompt:
    """One prompt, up to where the answer begins.

    Attributes:
      text: token ids.
      media_index: phi of every token: the picture whose tag it follows or belongs to, 0 before
        the first. The answer's tokens go on with the last one, that of the query's picture.
      pictures: the pictures in the order of their tags, as numbers of the task's pictures; the
        last is the query's.
    """

    text: tuple[int, ...]
    media_index: tuple[int, ...]
    pictures: tuple[int, ...]


def make_prompt(
    vocabulary: Vocabulary,
    shots: Sequence[tuple[int, str]],
    query: tuple[int, str],
    text_examples: Sequence[str] = (),
) -> Prompt:
    """Puts a prompt together.

    Args:
      vocabulary: of the language model.
      shots: picture and text of each, in order; the text has lead and answer ("Output: red").
      query: its picture, and the text in front of the answer ("Output:"; no space at the end: it
        belongs to the answer's first token).
      text_examples: texts of the examples without picture.

    Returns:
      The prompt.
    """
    tag = vocabulary.encode(schema.IMAGE_TAG)
    end = [vocabulary.end_of_chunk_id]
    parts = [[schema.BOS_ID, *(t for text in text_examples for t in vocabulary.encode(text) + end)]]
    parts += [tag + vocabulary.encode(text) + end for _, text in shots]
    parts.append(tag + vocabulary.encode(query[1]))
    return Prompt(
        text=tuple(token for part in parts for token in part),
        media_index=tuple(number for number, part in enumerate(parts) for _ in part),
        pictures=(*(picture for picture, _ in shots), query[0]),
    )


def swap_pictures(prompts: Sequence[Prompt]) -> list[Prompt]:
    """The control: every prompt keeps its text and gets all pictures of the next one.

    Args:
      prompts: of one number of shots, at least 2.

    Returns:
      Prompts of the same texts, none of which shows the pictures that it speaks of.

    Raises:
      ValueError: fewer than two prompts, or prompts of different numbers of pictures.
    """
    if len(prompts) < 2 or len({len(prompt.pictures) for prompt in prompts}) != 1:
        raise ValueError("swapping needs two or more prompts of one number of pictures")
    return [
        dataclasses.replace(prompt, pictures=other.pictures)
        for prompt, other in zip(prompts, [*prompts[1:], prompts[0]], strict=True)
    ]


class Shape(NamedTuple):
    """The padded size of prompts: T tokens and I pictures. Every shape is compiled once."""

    num_tokens: int
    num_pictures: int


class PromptBatch(NamedTuple):
    """Prompts of one shape, padded on the right.

    Attributes:
      text: int32 [B, T].
      length: int32 [B], real tokens of each.
      media_index: int32 [B, T].
      latents: float [B, I, R, D], zeros where a prompt has fewer pictures.
      last_media_index: int32 [B], phi of the answer.
    """

    text: np.ndarray
    length: np.ndarray
    media_index: np.ndarray
    latents: np.ndarray
    last_media_index: np.ndarray


def pad_batch(prompts: Sequence[Prompt], latents_NRD: np.ndarray, shape: Shape) -> PromptBatch:
    """Prompts as arrays.

    Args:
      prompts: none larger than `shape`.
      latents_NRD: visual tokens of the task's pictures.
      shape: size to pad to.
    """
    B = len(prompts)
    text_BT = np.full((B, shape.num_tokens), schema.PAD_ID, np.int32)
    media_index_BT = np.zeros((B, shape.num_tokens), np.int32)
    latents_BIRD = np.zeros((B, shape.num_pictures, *latents_NRD.shape[1:]), latents_NRD.dtype)
    for row, prompt in enumerate(prompts):
        text_BT[row, : len(prompt.text)] = prompt.text
        media_index_BT[row, : len(prompt.text)] = prompt.media_index
        latents_BIRD[row, : len(prompt.pictures)] = latents_NRD[list(prompt.pictures)]
    return PromptBatch(
        text=text_BT,
        length=np.array([len(prompt.text) for prompt in prompts], np.int32),
        media_index=media_index_BT,
        latents=latents_BIRD,
        last_media_index=np.array([len(prompt.pictures) for prompt in prompts], np.int32),
    )


# What compiling one more shape costs, in the tokens that could be computed meanwhile (seconds of
# compilation times tokens a second, on the quickstart's model and machine).
_TOKENS_PER_COMPILATION = 40_000


def plan_shapes(prompts: Sequence[Sequence[Prompt]]) -> list[Shape]:
    """Chooses few shapes that all prompts fit in without much padding.

    Sorts the sets of prompts by length and cuts the row into the groups, one shape each, for which
    padding and compilation together cost least.

    Args:
      prompts: sets of prompts that are to share a shape within the set.

    Returns:
      The shape of each set.
    """
    needs = [
        Shape(max(len(p.text) for p in some), max(len(p.pictures) for p in some))
        for some in prompts
    ]
    order = sorted(range(len(needs)), key=lambda number: needs[number])
    best_cost = [0.0] + [math.inf] * len(order)
    best_start = [0] * (len(order) + 1)
    for stop in range(1, len(order) + 1):
        count, num_pictures = 0, 0
        num_tokens = needs[order[stop - 1]].num_tokens
        for start in range(stop - 1, -1, -1):
            count += len(prompts[order[start]])
            num_pictures = max(num_pictures, needs[order[start]].num_pictures)
            padded = count * (num_tokens + num_pictures)
            cost = best_cost[start] + padded + _TOKENS_PER_COMPILATION
            if cost < best_cost[stop]:
                best_cost[stop], best_start[stop] = cost, start
    shapes: dict[int, Shape] = {}
    stop = len(order)
    while stop:
        group = order[best_start[stop] : stop]
        shape = Shape(
            max(needs[number].num_tokens for number in group),
            max(needs[number].num_pictures for number in group),
        )
        shapes |= dict.fromkeys(group, shape)
        stop = best_start[stop]
    return [shapes[number] for number in range(len(needs))]
