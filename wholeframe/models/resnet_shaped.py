"""A ResNet of any depth and width, with the changes of other repositories to its strides and its pooling, as data."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

from torchvision.models import resnet

from wholeframe.blocks import ISqrtCov
from wholeframe.messages import one_of, refuse_unknown
from wholeframe.models.resnet_image import keep_positions, pool_by, stride_in_first
from wholeframe.models.resnet_sites import Stride

Residual = Literal["basic", "bottleneck"]
RESIDUALS: dict[Residual, type[resnet.BasicBlock | resnet.Bottleneck]] = {
    "basic": resnet.BasicBlock,
    "bottleneck": resnet.Bottleneck,
}


def shaped_resnet(
    layers: Sequence[int],
    num_classes: int = 1000,
    *,
    residual: Residual = "bottleneck",
    groups: int = 1,
    width: int = 64,
    stride: Stride = "3x3",
    last_stride: Literal[1, 2] = 2,
    pool: Mapping[str, Any] | None = None,
) -> resnet.ResNet:
    """torchvision's ResNet with any number of residual blocks; its module names are the same.

    Args:
        layers: residual blocks in res2, res3, res4 and res5.
        num_classes: width of the output.
        residual: `"basic"` (two 3x3 convolutions) or `"bottleneck"` (1x1, 3x3, 1x1).
        groups, width: of the 3x3 convolutions, torchvision's `groups` and `width_per_group`.
        stride: the convolution of a bottleneck that halves the map.
        last_stride: stride of res5.
        pool: arguments of `ISqrtCov`, which then replaces the average over positions; None for the average.

    Returns:
        A network from images `(b, 3, h, w)` to logits `(b, num_classes)`.

    Raises:
        ValueError: for options that do not exist, another number of stages, and a stride of basic blocks.
    """
    one_of("residual", residual, tuple(RESIDUALS))
    one_of("stride", stride, ("3x3", "1x1"))
    one_of("last_stride", last_stride, (1, 2))
    if len(layers) != 4 or min(layers) < 1:
        raise ValueError(f"layers={list(layers)} must be the blocks of four stages, such as [3, 4, 6, 3]")
    if residual == "basic" and stride == "1x1":
        raise ValueError("stride='1x1' has no meaning for basic blocks, which have two 3x3 convolutions; leave it out")
    network = resnet.ResNet(
        RESIDUALS[residual], list(layers), num_classes=num_classes, groups=groups, width_per_group=width
    )
    if stride == "1x1":
        stride_in_first(network, 50)  # of any depth with bottlenecks
    if last_stride == 1:
        keep_positions(network)
    if pool is not None:
        refuse_unknown("pool", ISqrtCov.__init__, pool)
        pool_by(network, partial(ISqrtCov, **pool))
    return network
