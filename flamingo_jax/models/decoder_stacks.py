"""Which layers a decoder has, in which order.

A group is one cross-attention layer and the frozen blocks behind it. Groups form one stack, the
blocks of a group another inside it; blocks that are left over (80 = 11*7 + 3) form a last, shorter
group. Other ways of conditioning (`CrossAttentionConfig`) are other lists of stacks.
"""

from __future__ import annotations

from typing import NamedTuple

from flamingo_jax.config import CrossAttentionConfig

BLOCKS = "language_model"
"""Name of the stack of frozen blocks in a group."""


class Stack(NamedTuple):
    """One stack of groups of a decoder.

    Attributes:
        name: of the stack's module.
        num_groups: G.
        num_blocks: L, frozen blocks of a group.
        cross_attention: whether a group has a cross-attention layer.
        grafted: whether a group begins with a self-attention block of its own, learned anew.
    """

    name: str
    num_groups: int
    num_blocks: int
    cross_attention: bool = True
    grafted: bool = False


def decoder_stacks(num_layers: int, config: CrossAttentionConfig) -> tuple[Stack, ...]:
    """The stacks of a decoder in order.

    Every N-th layer (paper, section 2.2 and ablation v): `groups`, and `last_group` if N does not
    divide the layers. A single layer in the middle (ablation v): the blocks before it and those
    behind it. Grafting (ablation iv; VC-GPT, Luo et al. 2022): the whole language model, then pairs
    of a self-attention block and a cross-attention layer.

    Args:
        num_layers: blocks of the language model.
        config: which of these.
    """
    if config.conditioning == "grafting":
        language_model = Stack("leading_blocks", 1, num_layers, cross_attention=False)
        return (language_model, Stack("grafted", config.num_grafted, 0, grafted=True))
    if config.placement == "middle":
        before = num_layers // 2
        groups = Stack("groups", 1, num_layers - before)
        if not before:
            return (groups,)
        return (Stack("leading_blocks", 1, before, cross_attention=False), groups)
    full, rest = divmod(num_layers, config.every)
    stacks = [Stack("groups", full, config.every)] if full else []
    if rest:
        stacks.append(Stack("last_group", 1, rest))
    return tuple(stacks)
