"""Image networks: a ResNet of torchvision, blocks at their published places, and what a paper changes besides."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torchvision
from torch import Tensor, nn

from wholeframe.blocks import GSoP, GSoPChannel, GSoPPosition, ISqrtCov
from wholeframe.messages import one_of
from wholeframe.surgery.insert import insert, moved

Depth = Literal[18, 34, 50, 101, 152]
STAGES: dict[Depth, tuple[int, int, int, int]] = {  # residual blocks of res2, res3, res4, res5: layer1 to layer4
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
Stride = Literal["3x3", "1x1"]


@dataclass(frozen=True)
class ResNetPlan:
    """What a paper makes of a ResNet: `block` behind every module of `at`, and its changes to the backbone.

    Called with a number of classes it gives the network; `attach` does the same to a backbone that is there already.

    depth: 18 and 34 have basic blocks (two 3x3 convolutions), 50 and more bottlenecks (1x1, 3x3, 1x1).
    block: called with the channels of each site.
    at: the sites, globs over the names of torchvision's and timm's ResNets.
    last_stride: of res5; 1 keeps the 14 x 14 positions of res4 (at 224), as second-order pooling does.
    pool: in place of the average over positions, called with the channels of res5.
    """

    depth: Depth
    block: Callable[[int], nn.Module] | None = None
    at: tuple[str, ...] = ()
    last_stride: Literal[1, 2] = 2
    pool: Callable[[int], ISqrtCov] | None = None

    def __call__(self, num_classes: int = 1000, *, stride: Stride = "3x3") -> nn.Module:
        """The untrained network.

        stride: where a bottleneck halves the map. "3x3" in torchvision, timm and the released code of CGNL and GSoP;
            "1x1", the first convolution, in He et al. (2015), Caffe and the tables of GCNet: 0.23 G fewer
            multiply-adds in ResNet-50, and other weights.
        """
        one_of("stride", stride, ("3x3", "1x1"))
        network = torchvision.models.get_model(f"resnet{self.depth}", num_classes=num_classes)
        if stride == "1x1":
            stride_in_first(network, self.depth)
        self.attach(network)
        return network

    def attach(self, backbone: nn.Module) -> None:
        """Put the blocks into a backbone with torchvision's names (timm's ResNets have them), and change it as the paper.

        ValueError for a backbone without these names; then it is as it was.
        """
        refuse_others(backbone)
        if self.block is not None:
            insert(backbone, self.block, self.at, example=_image(backbone))
        if self.last_stride == 1:
            keep_positions(backbone)
        if self.pool is not None:
            pool_by(backbone, self.pool)


# ------------------------------------------------------------------------------------------------------- the places


def branches(depth: Depth, *stages: int) -> tuple[str, ...]:
    """Before the residual sum of every block of these stages (res2 is 2), behind the last batch norm of the branch."""
    return tuple(f"layer{stage - 1}.*.{_last_norm(depth)}" for stage in stages)


def last_branches(depth: Depth, *stages: int) -> tuple[str, ...]:
    """Before the residual sum of the last block of each of these stages."""
    return tuple(f"layer{stage - 1}.{STAGES[depth][stage - 2] - 1}.{_last_norm(depth)}" for stage in stages)


def before_last(depth: Depth) -> tuple[str, ...]:
    """Before the last residual block of res4: one block (Wang et al., tables 2a and 2b; Yue et al.)."""
    return (f"layer3.{STAGES[depth][2] - 2}",)


def every_other(depth: Depth) -> tuple[str, ...]:
    """Two blocks in res3 and three in res4 (Wang et al., table 2c).

    Of ResNet-101 the paper says "the corresponding blocks": behind each seventh of res4 in the authors' Caffe2 code,
    taken here, and behind 1, 3 and 5 in PySlowFast.
    """
    res4 = (6, 13, 20) if depth == 101 else (1, 3, 5)
    return ("layer2.1", "layer2.3", *(f"layer3.{index}" for index in res4))


def all_of_res3_and_res4() -> tuple[str, ...]:
    """Behind every block of res3 and res4, ten in ResNet-50 (Wang et al., table 2c)."""
    return ("layer2.*", "layer3.*")


def _last_norm(depth: Depth) -> str:
    return "bn3" if depth >= 50 else "bn2"


# ------------------------------------------------------------------------------------------------- changes to a backbone


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
    """Second-order pooling in place of the average, and a classifier of its width."""
    classifier = backbone.get_submodule("fc")
    assert isinstance(classifier, nn.Linear)
    device, dtype = classifier.weight.device, classifier.weight.dtype
    pooling = pool(classifier.in_features)
    setattr(backbone, _average(backbone), moved(pooling, device, dtype))
    backbone.fc = nn.Linear(pooling.out_features, classifier.out_features, device=device, dtype=dtype)


def refuse_others(backbone: nn.Module) -> None:
    """ValueError for a backbone that is no ResNet as torchvision and timm name one."""
    missing = [name for name in ("layer1", "layer2", "layer3", "layer4", "fc") if not hasattr(backbone, name)]
    if missing:
        raise ValueError(
            f"this network places its blocks by the names of a ResNet, and the backbone ({type(backbone).__name__}) has no "
            f"{', '.join(missing)}; see `wf.sites(backbone)` and put blocks where you want them with `wf.insert`"
        )


def _average(backbone: nn.Module) -> str:
    return "avgpool" if hasattr(backbone, "avgpool") else "global_pool"


def _image(backbone: nn.Module) -> Tensor:
    """A small and faint image: the proof of `insert` is quick, and finite in a fresh backbone as well.

    In eval mode a fresh batch norm normalises nothing, every residual block adds to the map, and the third order of
    CGNL's series takes it to the seventh power.
    """
    weight = next(backbone.parameters())
    image = 1e-3 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    return image.to(weight.device, weight.dtype)


# ------------------------------------------------------------------------------------------------ second-order pooling

GSoPKind = Literal["channel", "position", "sum", "max", "concat"]


def gsop(channels: int, kind: GSoPKind) -> nn.Module:
    """The block of GSoP-Net as released: the channel gate strides in res2 alone, on 56 x 56 positions at 224."""
    channel = partial(GSoPChannel, stride=2 if channels == 256 else 1)
    if kind == "channel":
        return channel(channels)
    if kind == "position":
        return GSoPPosition(channels)
    return GSoP(channels, channel=channel, fusion=kind)


def gsop_net1(depth: Depth, kind: GSoPKind = "channel") -> ResNetPlan:
    """A block before the sum of the last residual block of every stage; res5 keeps its positions; average pooling."""
    return ResNetPlan(depth, partial(gsop, kind=kind), last_branches(depth, 2, 3, 4, 5), last_stride=1)


def gsop_net2(depth: Depth, kind: GSoPKind = "channel") -> ResNetPlan:
    """As GSoP-Net1 in res2, res3 and res4; behind res5 a root of the covariance of 256 channels, by 3 steps."""
    pool = partial(ISqrtCov, inner=256, steps=3, triangle="lower")
    return ResNetPlan(depth, partial(gsop, kind=kind), last_branches(depth, 2, 3, 4), last_stride=1, pool=pool)


def isqrt_net(depth: Depth) -> ResNetPlan:
    """No blocks; res5 keeps its positions; behind it a root of the covariance of 256 channels, by 5 steps."""
    return ResNetPlan(depth, last_stride=1, pool=partial(ISqrtCov, inner=256, steps=5))
