"""ZilinGao/Global-Second-order-Pooling-Convolutional-Networks@662a699, `torchvision/models/resnet.py`.

The tensor names of `Bottleneck` depend on its argument `attention`, so its value is appended to the name here:
`"gsop.Bottleneck+"`. The blocks are methods of `Bottleneck`: `chan_att` and `pos_att` name the blocks that apply them.

Values that the reference sets inside its constructor (`dr_stride`, `sp_h`, `sp_w`, `groups`, `conv_kernel_size`) are
arguments here, under the names of its attributes, because forks change them. The functions `development_*` convert
the authors' development file, `resnet.py~` of commit b69ea4e.
"""

from collections.abc import Callable
from functools import partial

from torch import nn
from torchvision.models import resnet

from wholeframe.blocks import GSoP, GSoPChannel, GSoPPosition, ISqrtCov
from wholeframe.convert.rename import meaning

CHANNEL = {
    "conv_for_DR.": "context.reduce.linear.",
    "bn_for_DR.": "context.reduce.norm.",
    "row_bn.": "multiply.row_norm.",
    "row_conv_group.": "multiply.row_conv.",
    "fc_adapt_channels.": "multiply.expand.",
}
POSITION = {
    "conv_for_DR_spatial.": "reduce.linear.",
    "bn_for_DR_spatial.": "reduce.norm.",
    "row_bn_for_spatial.": "transform.row_norm.",
    "row_conv_group_for_spatial.": "transform.row_conv.",
    "fc_adapt_channels_for_spatial.": "transform.expand.",
}
CONCAT = {
    "dilate_conv_for_concat1.": "out_channel.",
    "dilate_conv_for_concat2.": "out_position.",
    "bn_for_concat.": "norm.",
}
# The block is applied after the last norm of the residual branch, so bn3 becomes that norm and the block.
PLAIN = {f"{name}.": f"{name}." for name in ("conv1", "bn1", "conv2", "bn2", "conv3", "downsample")}
HEAD = {"layer_reduce.": "reduce.linear.", "layer_reduce_bn.": "reduce.norm."}


def bottleneck_names(attention: str) -> dict[str, str | None]:
    """The tensor names of a `Bottleneck` with this attention."""
    if attention == "0":
        return {**PLAIN, "bn3.": "bn3."}
    channel, position = {"1": ("", None), "2": (None, "")}.get(attention, ("channel.", "position."))
    names = {} if channel is None else {theirs: channel + ours for theirs, ours in CHANNEL.items()}
    names |= {} if position is None else {theirs: position + ours for theirs, ours in POSITION.items()}
    names |= CONCAT if attention == "&" else {}
    return {**PLAIN, "bn3.": "bn3.0.", **{theirs: f"bn3.1.{ours}" for theirs, ours in names.items()}}


def bottleneck(
    named: str,
    /,
    inplanes: int,
    planes: int,
    stride: int = 1,
    downsample: nn.Module | None = None,
    attention: str | None = None,
    att_dim: int = 128,
    dr_stride: int | None = None,
    sp_h: int = 8,
    sp_w: int = 8,
    groups: int | None = None,
    conv_kernel_size: int | None = None,
) -> resnet.Bottleneck:
    """`Bottleneck`: torchvision's, with the block after its last norm, where the reference applies it."""
    if attention not in (None, named):
        raise ValueError(
            f"attention={attention!r} is of 'gsop.Bottleneck{attention}', and 'gsop.Bottleneck{named}' is built; "
            "change one of the two, or leave attention out"
        )
    block = resnet.Bottleneck(inplanes, planes, stride, downsample)
    if named == "0":
        return block
    channel = partial(GSoPChannel, inner=att_dim, stride=stage_stride(planes) if dr_stride is None else dr_stride)
    position = partial(GSoPPosition, inner=att_dim, size=(sp_h, sp_w))
    both = partial(GSoP, channel=channel, position=position, groups=groups, kernel=conv_kernel_size)
    makers: dict[str | None, Callable[[int], nn.Module]] = {
        "1": channel,
        "2": position,
        "+": partial(both, fusion="sum"),
        "M": partial(both, fusion="max"),
        "&": partial(both, fusion="concat"),
    }
    block.bn3 = nn.Sequential(block.bn3, meaning("attention", named, makers)(4 * planes))
    return block


def channel(planes: int, expansion: int = 4, att_dim: int = 128, dr_stride: int | None = None) -> GSoPChannel:
    """`x * chan_att(x)`."""
    return GSoPChannel(
        planes * expansion, inner=att_dim, stride=stage_stride(planes) if dr_stride is None else dr_stride
    )


def position(planes: int, expansion: int = 4, att_dim: int = 128, sp_h: int = 8, sp_w: int = 8) -> GSoPPosition:
    """`relu(x * pos_att(x))`."""
    return GSoPPosition(planes * expansion, inner=att_dim, size=(sp_h, sp_w))


def development_channel(
    planes: int, expansion: int = 4, att_dim: int = 128, dr_stride: int | None = None
) -> GSoPChannel:
    """`x * chan_att(x)`, with a leaky ReLU between the last two layers and none before the covariance."""
    return GSoPChannel(
        planes * expansion,
        inner=att_dim,
        stride=stage_stride(planes) if dr_stride is None else dr_stride,
        reduce_act=None,
        row_act="leaky_relu",
    )


def development_position(
    planes: int,
    expansion: int = 4,
    att_dim: int = 128,
    dr_stride: int | None = None,
    sp_h: int = 8,
    sp_w: int = 8,
) -> GSoPPosition:
    """`relu(x * spat_att(x))`: six filters per row, a leaky ReLU, a stride, and half of the covariance centred."""
    return GSoPPosition(
        planes * expansion,
        inner=att_dim,
        size=(sp_h, sp_w),
        stride=stage_stride(planes) if dr_stride is None else dr_stride,
        filters=6,
        row_act="leaky_relu",
        centring="development",
    )


def head(inplanes: int = 2048, isqrt_dim: int = 256) -> ISqrtCov:
    """From `layer_reduce` to `TriuvecLayer` of GSoP-Net2: three steps, the lower triangle."""
    return ISqrtCov(inplanes, inner=isqrt_dim, steps=3, triangle="lower")


def stage_stride(planes: int) -> int:
    """The first stage, which has 64 planes, uses every other position."""
    return 1 if planes > 64 else 2
