"""xvjiarui/GCNet@029db540: mmcv's block with its earlier argument name, and the residual block around it.

`mmdet/ops/gcb/context_block.py` and `mmdet/models/backbones/resnet.py`.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

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
    stride: int = 1,
    dilation: int = 1,
    downsample: nn.Module | None = None,
    style: str = "pytorch",
    with_cp: bool = False,
    conv_cfg: Mapping[str, object] | None = None,
    norm_cfg: Mapping[str, object] = MappingProxyType({"type": "BN"}),
    dcn: Mapping[str, object] | None = None,
    gcb: Mapping[str, object] | None = None,
    gen_attention: Mapping[str, object] | None = None,
) -> resnet.Bottleneck:
    """`Bottleneck`: torchvision's, with the context block of `gcb` after its last norm, before the sum.

    `style="caffe"` has the stride in the first convolution. Where the sizes need a `downsample` and None is given, it
    is that of the reference's `make_res_layer`: a strided 1x1 convolution and a norm. `with_cp` changes no result.
    """
    if conv_cfg not in (None, {"type": "Conv"}, {"type": "Conv2d"}):
        raise ValueError(f"conv_cfg={conv_cfg!r} has no counterpart here; leave it out for a plain convolution")
    for name, value in {"dcn": dcn, "gen_attention": gen_attention}.items():
        if value is not None:
            raise ValueError(
                f"{name}={dict(value)!r} has no counterpart here; leave it out, and convert the block alone"
            )
    added = shortcut(inplanes, 4 * planes, stride) if downsample is None else None
    block = resnet.Bottleneck(inplanes, planes, stride, added or downsample, dilation=dilation)
    if meaning("style", style, {"pytorch": False, "caffe": True}):
        block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    options = call("norm_cfg", mmcv.batch_norm, norm_cfg)
    for norm in (block.bn1, block.bn2, block.bn3, *(added or ())[1:]):
        assert isinstance(norm, nn.BatchNorm2d)
        norm.eps, norm.momentum = options["eps"], options["momentum"]
    context_block = [] if gcb is None else [call("gcb", context, {"inplanes": 4 * planes, **gcb})]
    block.bn3 = nn.Sequential(block.bn3, *context_block)
    return block


def shortcut(inplanes: int, outplanes: int, stride: int) -> nn.Sequential | None:
    """The layers that fit the input of a residual block to its output, or None where it needs none."""
    if stride == 1 and inplanes == outplanes:
        return None
    return nn.Sequential(nn.Conv2d(inplanes, outplanes, 1, stride, bias=False), nn.BatchNorm2d(outplanes))
