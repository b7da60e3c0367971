"""xvjiarui/GCNet@029db540: mmcv's block with its earlier argument name, and the residual block around it.

`mmdet/ops/gcb/context_block.py` and `mmdet/models/backbones/resnet.py`.
"""

from collections.abc import Mapping, Sequence

from torch import nn
from torchvision.models import resnet

from wholeframe.blocks import GlobalContext
from wholeframe.convert import mmcv
from wholeframe.convert.rename import call, meaning

# The block is applied after the last norm of the residual branch, so bn3 becomes that norm and the block.
BOTTLENECK = {
    **{f"{name}.": f"{name}." for name in ("conv1", "bn1", "conv2", "bn2", "conv3", "downsample")},
    "bn3.": "bn3.0.",
    **{f"context_block.{theirs}": f"bn3.1.{ours}" for theirs, ours in mmcv.CONTEXT.items()},
}


def context(
    inplanes: int,
    ratio: float,
    pooling_type: str = "att",
    fusion_types: Sequence[str] = ("channel_add",),
) -> GlobalContext:
    """`ContextBlock`."""
    return mmcv.context(inplanes, ratio, pooling_type, fusion_types)


def bottleneck(
    inplanes: int,
    planes: int,
    gcb: Mapping[str, object],
    stride: int = 1,
    dilation: int = 1,
    downsample: nn.Module | None = None,
    style: str = "pytorch",
) -> resnet.Bottleneck:
    """`Bottleneck` with a `gcb`: torchvision's, with the block after its last norm, before the sum.

    `style="caffe"` has the stride in the first convolution.
    """
    block = resnet.Bottleneck(inplanes, planes, stride, downsample, dilation=dilation)
    if meaning("style", style, {"pytorch": False, "caffe": True}):
        block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    block.bn3 = nn.Sequential(block.bn3, call("gcb", context, {"inplanes": 4 * planes, **gcb}))
    return block
