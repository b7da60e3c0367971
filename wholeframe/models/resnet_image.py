"""Image networks: a ResNet of torchvision, blocks at their published sites, and the paper's other changes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torchvision
from torch import Tensor, nn

from wholeframe.blocks import GSoP, GSoPChannel, GSoPPosition, ISqrtCov
from wholeframe.messages import one_of
from wholeframe.models.resnet_sites import Depth, Stride, last_branches
from wholeframe.surgery.insert import insert, moved


@dataclass(frozen=True)
class ResNetPlan:
    """What a paper changes in a ResNet: a block after every module of `at`, and changes to the backbone itself.

    Calling the plan builds the network; `attach` makes the same changes in a backbone that is already built.

    Args:
        depth: 18 and 34 have basic blocks (two 3x3 convolutions), 50 and more have bottlenecks (1x1, 3x3, 1x1).
        block: builds a block from the channels of its site.
        at: the sites, globs over the module names of torchvision's and timm's ResNets.
        last_stride: stride of res5; 1 keeps the 14 x 14 positions of res4 (at 224), as second-order pooling does.
        pool: replaces the average over positions; called with the channels of res5.
    """

    depth: Depth
    block: Callable[[int], nn.Module] | None = None
    at: tuple[str, ...] = ()
    last_stride: Literal[1, 2] = 2
    pool: Callable[[int], ISqrtCov] | None = None

    def __call__(self, num_classes: int = 1000, *, stride: Stride = "3x3") -> nn.Module:
        """Build the untrained network.

        Args:
            num_classes: width of the output.
            stride: the convolution of a bottleneck that halves the map. "3x3" in torchvision, timm and the released
                code of CGNL and GSoP; "1x1", the first convolution, in He et al. (2015), Caffe and the tables of
                GCNet: 0.23 G fewer multiply-adds in ResNet-50, and different weights.

        Returns:
            A network from images `(b, 3, h, w)` to logits `(b, num_classes)`.

        Raises:
            ValueError: for an unknown stride, and for "1x1" with basic blocks.
        """
        one_of("stride", stride, ("3x3", "1x1"))
        network = torchvision.models.get_model(f"resnet{self.depth}", num_classes=num_classes)
        if stride == "1x1":
            stride_in_first(network, self.depth)
        self.attach(network)
        return network

    def attach(self, backbone: nn.Module) -> None:
        """Insert the blocks and make the paper's changes in a backbone with the module names of torchvision's ResNet.

        Raises:
            ValueError: for a backbone without these names, which is then unchanged.
        """
        refuse_others(backbone)
        if self.block is not None:
            insert(backbone, self.block, self.at, example=_image(backbone))
        if self.last_stride == 1:
            keep_positions(backbone)
        if self.pool is not None:
            pool_by(backbone, self.pool)


# ------------------------------------------------------------------------------------------------ changes to a backbone


def stride_in_first(network: nn.Module, depth: Depth) -> None:
    """Halve the map in the first 1x1 convolution of a stage, not in its 3x3 convolution."""
    if depth < 50:
        raise ValueError(
            f"stride='1x1' has no meaning in ResNet-{depth}, whose blocks have two 3x3 convolutions; leave stride out"
        )
    for stage in ("layer2", "layer3", "layer4"):
        first, second = (network.get_submodule(f"{stage}.0.{name}") for name in ("conv1", "conv2"))
        assert isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d)
        first.stride, second.stride = second.stride, first.stride


def keep_positions(backbone: nn.Module) -> None:
    """res5 with stride 1: 14 x 14 positions at 224, four times the work of that stage."""
    for module in backbone.get_submodule("layer4.0").modules():
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)


def pool_by(backbone: nn.Module, pool: Callable[[int], ISqrtCov]) -> None:
    """Replace the average by second-order pooling, and the classifier by one of the new width."""
    classifier = backbone.get_submodule("fc")
    assert isinstance(classifier, nn.Linear)
    device, dtype = classifier.weight.device, classifier.weight.dtype
    pooling = pool(classifier.in_features)
    setattr(backbone, _average(backbone), moved(pooling, device, dtype))
    backbone.fc = nn.Linear(pooling.out_features, classifier.out_features, device=device, dtype=dtype)


def refuse_others(backbone: nn.Module) -> None:
    """Raise ValueError for a backbone whose modules are not named as in torchvision's and timm's ResNets."""
    missing = [name for name in ("layer1", "layer2", "layer3", "layer4", "fc") if not hasattr(backbone, name)]
    if missing:
        raise ValueError(
            f"this network places its blocks by the names of a ResNet, and the backbone ({type(backbone).__name__}) "
            f"has no {', '.join(missing)}; list its sites with `wf.sites(backbone)` and place blocks with `wf.insert`"
        )


def _average(backbone: nn.Module) -> str:
    return "avgpool" if hasattr(backbone, "avgpool") else "global_pool"


def _image(backbone: nn.Module) -> Tensor:
    """A small image of small values: the check of `insert` is quick, and finite in an untrained backbone as well.

    In eval mode an untrained batch norm normalises nothing, every residual block adds to the map, and the third order
    of CGNL's series raises it to the seventh power.
    """
    weight = next(backbone.parameters())
    image = 1e-3 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return image.to(weight.device, weight.dtype)


# ------------------------------------------------------------------------------------------------ second-order pooling

GSoPKind = Literal["channel", "position", "sum", "max", "concat"]


def gsop_block(channels: int, kind: GSoPKind) -> nn.Module:
    """The block of GSoP-Net as released: the channel gate strides in res2 only, on 56 x 56 positions at 224."""
    channel = partial(GSoPChannel, stride=2 if channels == 256 else 1)
    if kind == "channel":
        return channel(channels)
    if kind == "position":
        return GSoPPosition(channels)
    return GSoP(channels, channel=channel, fusion=kind)


def gsop_net1(depth: Depth, kind: GSoPKind = "channel") -> ResNetPlan:
    """A block before the sum of the last residual block of every stage; res5 keeps its positions; average pooling."""
    return ResNetPlan(depth, partial(gsop_block, kind=kind), last_branches(depth, 2, 3, 4, 5), last_stride=1)


def gsop_net2(depth: Depth, kind: GSoPKind = "channel") -> ResNetPlan:
    """GSoP-Net1 in res2, res3 and res4; after res5 a root of the covariance of 256 channels, in 3 steps."""
    pool = partial(ISqrtCov, inner=256, steps=3, triangle="lower")
    return ResNetPlan(depth, partial(gsop_block, kind=kind), last_branches(depth, 2, 3, 4), last_stride=1, pool=pool)


def isqrt_net(depth: Depth) -> ResNetPlan:
    """No blocks; res5 keeps its positions; after it a root of the covariance of 256 channels, in 5 steps."""
    return ResNetPlan(depth, last_stride=1, pool=partial(ISqrtCov, inner=256, steps=5))
