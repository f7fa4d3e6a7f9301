"""Published model sizes as data.

A variant holds sizes only: no precision, no training recipe. Names are what a config writes
(`vision_encoder.variant = "nfnet_f6"`). Where a size differs from the publication (the tiny
variants), the text beside it says so.
"""

from __future__ import annotations

import dataclasses
import difflib
import math

from flamingo_jax.core.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class NFNetVariant:
    """Sizes of one NFNet (Brock et al. 2021; deepmind-research `nfnets/base.py`, `nfnet.py`).

    Attributes:
        stem_channels: output channels of the 3x3 convolutions of the stem, in order.
        stem_strides: their strides.
        widths: output channels of the blocks of each stage.
        depths: number of blocks of each stage.
        stage_strides: stride of the first block of each stage.
        group_widths: channels in a group of the grouped 3x3 convolutions of each stage; the number
            of groups is `int(width * expansion) // group_width`.
        drop_rate: dropout before the ImageNet classifier. Kept as published; features have none.
        train_image_size: pixels (height = width) of the ImageNet training recipe.
        test_image_size: pixels of the ImageNet test.
        expansion: width inside a block relative to its output channels.
        se_ratio: hidden width of squeeze-excite relative to the channels.
        alpha: scale of the residual branch.
        final_conv_multiplier: output channels of the final 1x1 convolution relative to the last
            stage's width.
    """

    stem_channels: tuple[int, ...]
    stem_strides: tuple[int, ...]
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    stage_strides: tuple[int, ...]
    group_widths: tuple[int, ...]
    drop_rate: float
    train_image_size: int
    test_image_size: int
    expansion: float = 0.5
    se_ratio: float = 0.5
    alpha: float = 0.2
    final_conv_multiplier: int = 2

    def __post_init__(self) -> None:
        """Checks that the per-stage and per-convolution tuples agree in length."""
        stages = {len(self.widths), len(self.depths), len(self.stage_strides)}
        if stages != {len(self.group_widths)}:
            raise ValueError("widths, depths, stage_strides and group_widths differ in length")
        if len(self.stem_channels) != len(self.stem_strides):
            raise ValueError("stem_channels and stem_strides differ in length")

    @property
    def output_width(self) -> int:
        """D, the channels of the features (after the final convolution)."""
        return self.final_conv_multiplier * self.widths[-1]

    @property
    def total_stride(self) -> int:
        """Pixels of the input, in each direction, for one position of the feature grid."""
        return math.prod(self.stem_strides) * math.prod(self.stage_strides)

    def grid_size(self, image_size: int) -> int:
        """Positions of the feature grid in each direction for a square image.

        SAME padding rounds every stride up, so 33 pixels at total stride 32 give 2 positions.
        """
        size = image_size
        for stride in (*self.stem_strides, *self.stage_strides):
            size = -(-size // stride)
        return size


def _f_variant(
    multiple: int,
    drop_rate: float,
    train_image_size: int,
    test_image_size: int,
    widths: tuple[int, ...] = (256, 512, 1536, 1536),
) -> NFNetVariant:
    return NFNetVariant(
        stem_channels=(16, 32, 64, widths[0] // 2),
        stem_strides=(2, 1, 1, 2),
        widths=widths,
        depths=(1 * multiple, 2 * multiple, 6 * multiple, 3 * multiple),
        stage_strides=(1, 2, 2, 2),
        group_widths=(128, 128, 128, 128),
        drop_rate=drop_rate,
        train_image_size=train_image_size,
        test_image_size=test_image_size,
    )


_PLUS_WIDTHS = (384, 768, 2048, 2048)

# (depth multiple, drop rate, train pixels, test pixels) of F0 to F7.
_F_ROWS: dict[str, tuple[int, float, int, int]] = {
    "f0": (1, 0.2, 192, 256),
    "f1": (2, 0.3, 224, 320),
    "f2": (3, 0.4, 256, 352),
    "f3": (4, 0.4, 320, 416),
    "f4": (5, 0.5, 384, 512),
    "f5": (6, 0.5, 416, 544),
    "f6": (7, 0.5, 448, 576),
    "f7": (8, 0.5, 480, 608),
}

NFNET_TINY = NFNetVariant(
    stem_channels=(16, 32, 48),
    stem_strides=(2, 1, 2),
    widths=(96, 128, 128),
    depths=(1, 1, 1),
    stage_strides=(1, 2, 1),
    group_widths=(48, 64, 64),
    drop_rate=0.0,
    train_image_size=32,
    test_image_size=32,
    final_conv_multiplier=1,
)
"""Not published: the real blocks for small pictures on a CPU (24x24: a 3x3 grid, 128 wide).

Two choices are for XLA:CPU alone, which otherwise computes the gradients of convolutions ten times
slower: one group per convolution (group width = width inside the block), and one block per stage,
so that no convolution's gradient stands inside the loop of a stack. The third stage keeps stride
and width, hence its block has the plain shortcut of the published networks' later blocks.
"""

NFNET_VARIANTS: dict[str, NFNetVariant] = {
    **{f"nfnet_{name}": _f_variant(*row) for name, row in _F_ROWS.items()},
    **{f"nfnet_{name}_plus": _f_variant(*row, _PLUS_WIDTHS) for name, row in _F_ROWS.items()},
    "nfnet_tiny": NFNET_TINY,
}
"""All NFNets by name. Flamingo's frozen encoder is `nfnet_f6`, its ablations' is `nfnet_f0`."""


def nfnet_variant(name: str) -> NFNetVariant:
    """The NFNet of that name.

    Raises:
        UserError: there is none; the message offers the nearest name.
    """
    if name in NFNET_VARIANTS:
        return NFNET_VARIANTS[name]
    nearest = difflib.get_close_matches(name, NFNET_VARIANTS, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"one of {', '.join(NFNET_VARIANTS)}"
    raise UserError(f"no NFNet variant is called {name!r}: {hint}")
