"""xvjiarui/GCNet@029db540, `mmdet/ops/gcb/context_block.py`: mmcv's block under its first argument name."""

from collections.abc import Sequence

from torch import nn

from wholeframe.convert import mmcv


def context(
    inplanes: int,
    ratio: float,
    pooling_type: str = "att",
    fusion_types: Sequence[str] = ("channel_add",),
) -> nn.Module:
    """`ContextBlock`."""
    return mmcv.context(inplanes, ratio, pooling_type, fusion_types)
