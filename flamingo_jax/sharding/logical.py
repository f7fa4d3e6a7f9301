"""Logical axes: what an axis of an array means, and which mesh axis it is split over.

Models and sharding rules speak of meanings ("heads"), never of devices. This file is the one place
where meanings become mesh axes, so that another layout is another column here.
"""

from __future__ import annotations

from collections.abc import Sequence

from jax.sharding import PartitionSpec

DATA = "data"
"""Mesh axis over which the examples of a batch are split."""

MODEL = "model"
"""Mesh axis over which the large matrices are split (Megatron-LM tensor parallelism)."""

BATCH = "batch"
WIDTH = "width"  # D, the residual stream: every device holds it whole
VOCABULARY = "vocabulary"  # V, rows of the tied embedding
HEADS = "heads"  # N * K, all heads side by side
HIDDEN = "hidden"  # 4D, inside a feed-forward block
MEDIA_WIDTH = "media_width"  # width of the latents that cross-attention reads

MESH_AXES: dict[str, str | None] = {
    BATCH: DATA,
    WIDTH: None,
    VOCABULARY: MODEL,
    HEADS: MODEL,
    HIDDEN: MODEL,
    MEDIA_WIDTH: None,
}

WHOLE_WHERE_INDIVISIBLE = frozenset({VOCABULARY})
"""Axes kept whole where the mesh axis does not divide them; for any other axis that is an error.

A vocabulary has the size that its tokenizer has, and nothing but memory is lost by copies of it. A
number of heads or a width that does not divide is a config to be corrected.
"""


def partition_spec(axes: Sequence[str | None]) -> PartitionSpec:
    """Maps the logical axes of an array to mesh axes.

    Args:
      axes: one logical axis per array axis; None is an axis that is never split (stacked layers).

    Returns:
      The `PartitionSpec` with one entry per axis.

    Raises:
      KeyError: a name that is no logical axis.
    """
    return PartitionSpec(*(None if axis is None else MESH_AXES[axis] for axis in axes))
